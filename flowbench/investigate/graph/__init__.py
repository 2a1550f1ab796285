"""Communication graphs (networkx): of a case or around a host, in time, and what they show.

    communication   the graph of a case, at any level, with outsiders grouped on request
    build_graph     the same of some of its connections
    around          the part near one node
    reachable       what an address can have reached after a time
    reaching        what can have reached an address before a time
    blast_radius    how many nodes were reached, by hop and hour
    brokers         the nodes that most shortest paths pass through
    communities     groups of nodes with most of their connections among themselves
    changes         what appeared and disappeared between two graphs
    tag_values      the value of a tag by address

An edge goes from initiator to responder and sums the connections between them. Sums are computed in
the engine; only nodes and edges come to Python.

Edge attributes:
    connections, rejected, answered: Numbers of connections.
    bytes_out, bytes_in: Bytes from the edge's source to its target, and back.
    ports: Service ports, as text.
    first_seen, last_seen: UTC.
    indicator_match: Whether an indicator covered one end at a time between these.
    verdict: 'rejected' if some connections were rejected and none was answered, otherwise
        'indicator match' or 'accepted'.

Node attributes:
    label, name, address, service, vpc, country: Text, empty if unknown or if members differ.
    internal: Whether the node belongs to the monitored network.
    members: Number of addresses that the node stands for.
    member_names: The first of them, if there are several.
    connections, rejected: Numbers of connections that the node opened or was opened to.
    bytes_sent, bytes_received: Bytes, whoever opened the connection.
    first_seen, last_seen: UTC.
    verdict: The most severe of its edges: 'indicator match', 'accepted' or 'rejected'.
    indicator_kinds: Kinds of the indicators that were valid when the node communicated, as text.
    expired_kinds: Kinds of those that were valid only before or after.
    sessions: Number of administrative sessions that an external address held.
    principals: Who called the AWS API from the address, as text.
"""

from flowbench.investigate.graph.build import around, build_graph, communication
from flowbench.investigate.graph.changes import changes
from flowbench.investigate.graph.levels import LEVELS, OUTSIDERS
from flowbench.investigate.graph.measures import brokers, communities
from flowbench.investigate.graph.nodes import tag_values
from flowbench.investigate.graph.paths import blast_radius, reachable, reaching

__all__ = [
    "LEVELS",
    "OUTSIDERS",
    "around",
    "blast_radius",
    "brokers",
    "build_graph",
    "changes",
    "communication",
    "communities",
    "reachable",
    "reaching",
    "tag_values",
]
