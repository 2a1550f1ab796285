"""Names of the services that usually listen on a port, and the ports of sensitive services.

The table is part of the package because /etc/services differs between systems and is missing on
many, and the same evidence must give the same names everywhere. Names are IANA's, or the ones that
analysts use where those differ (rdp, not ms-wbt-server). A port only suggests a service: any
program can listen on any port.
"""

from __future__ import annotations

from functools import cache

_TCP, _UDP = 6, 17
PROTOCOLS = {1: "icmp", _TCP: "tcp", _UDP: "udp", 58: "icmpv6"}

# Sources: IANA's Service Name and Transport Protocol Port Number Registry; for what is not
# registered, the documentation of the product named.
_BOTH = """
7 echo, 9 discard, 19 chargen, 53 dns, 88 kerberos, 111 rpcbind, 123 ntp, 135 msrpc, 161 snmp,
162 snmptrap, 389 ldap, 443 https, 445 smb, 464 kpasswd, 500 isakmp, 514 syslog, 636 ldaps, 853 dot,
1194 openvpn, 1812 radius, 2049 nfs, 3389 rdp, 3478 stun, 5060 sip, 5061 sips, 5353 mdns,
5355 llmnr, 8125 statsd, 51820 wireguard
"""
_ONLY_TCP = """
20 ftp-data, 21 ftp, 22 ssh, 23 telnet, 25 smtp, 43 whois, 49 tacacs, 79 finger, 80 http, 110 pop3,
113 ident, 119 nntp, 139 netbios-ssn, 143 imap, 179 bgp, 427 slp, 465 smtps, 502 modbus, 512 exec,
513 login, 515 printer, 543 klogin, 548 afp, 554 rtsp, 587 submission, 593 msrpc-http, 631 ipp,
873 rsync, 902 vmware-auth, 988 lustre, 989 ftps-data, 990 ftps, 993 imaps, 995 pop3s, 1080 socks,
1099 rmi, 1433 mssql, 1521 oracle, 1723 pptp, 1883 mqtt, 2082 cpanel, 2181 zookeeper, 2222 ssh-alt,
2375 docker, 2376 docker-tls, 2379 etcd, 2380 etcd-peer, 2483 oracle-tcps, 3000 http-dev,
3128 http-proxy, 3260 iscsi, 3268 ldap-gc, 3269 ldaps-gc, 3306 mysql, 3333 stratum, 3690 svn,
4369 epmd, 5000 http-dev, 5222 xmpp, 5432 postgresql, 5439 redshift,
5601 kibana, 5671 amqps, 5672 amqp, 5900 vnc, 5901 vnc, 5938 teamviewer, 5984 couchdb,
5985 winrm, 5986 winrm-tls, 6000 x11, 6379 redis, 6380 redis-tls, 6443 kubernetes-api, 6667 irc,
6697 ircs, 7000 cassandra-peer, 7001 weblogic, 7687 bolt, 8000 http-alt, 8080 http-alt,
8081 http-alt, 8086 influxdb, 8088 http-alt, 8111 dax, 8140 puppet, 8182 gremlin, 8200 vault,
8333 bitcoin, 8443 https-alt, 8500 consul, 8883 mqtts, 8888 http-alt, 9000 http-alt, 9001 tor-or,
9030 tor-dir, 9042 cassandra, 9050 tor-socks, 9090 prometheus, 9092 kafka, 9093 alertmanager,
9094 kafka-tls, 9096 kafka-sasl, 9098 kafka-iam, 9100 jetdirect, 9111 dax-tls, 9142 cassandra-tls,
9194 kafka-tls, 9196 kafka-sasl, 9198 kafka-iam,
9200 elasticsearch, 9300 elasticsearch-peer, 9418 git, 9999 http-dev, 10000 webmin, 10250 kubelet,
10255 kubelet-readonly, 11211 memcached, 14433 stratum, 14444 stratum, 15672 rabbitmq-http,
27017 mongodb, 27018 mongodb-shard, 45700 stratum, 50000 db2, 61616 activemq,
61617 activemq-tls
"""
_ONLY_UDP = """
67 dhcp-server, 68 dhcp-client, 69 tftp, 137 netbios-ns, 138 netbios-dgm, 520 rip, 1701 l2tp,
1900 ssdp, 3544 teredo, 4500 ipsec-nat, 4789 vxlan, 5683 coap, 6081 geneve, 11211 memcached
"""
# Default TCP ports of AWS data services, from the user guide of each; users can choose others. In
# order: databases of RDS and Aurora (SQL Server, Oracle, MySQL, PostgreSQL, Db2), file
# systems (EFS, FSx for Lustre, Windows and ONTAP), Redshift, ElastiCache and MemoryDB, DocumentDB,
# Neptune, DAX, Keyspaces, MSK, Amazon MQ, IoT Core; self-managed OpenSearch.
DATA_PORTS = frozenset(
    {1433, 1521, 3306, 5432, 50000, 445, 988, 2049, 5985, 5439, 6379, 6380, 11211, 27017}
    | {8182, 8111, 9111, 9142, 9092, 9094, 9096, 9098, 9194, 9196, 9198, 5671, 61617, 8883, 9200}
)
# Ports of public pools, web ports left out: the public configurations of supportxmr, hashvault,
# nanopool, MoneroOcean and NiceHash miners.
POOL_PORTS = frozenset(
    {3333, 4444, 5555, 6666, 7777, 8888, 9999, 14433, 14444, 45560, 45700, 20128}
    | set(range(3334, 3341))
    | set(range(10300, 10344))
    | {10001, 10002, 10004, 10008, 10016, 10032, 10064, 10128}
)
# TCP ports of remote administration, by people and by programs.
ADMIN_PORTS = frozenset({22, 23, 135, 139, 445, 3389, 5900, 5985, 5986})


@cache
def _names() -> dict[tuple[int, int], str]:
    found: dict[tuple[int, int], str] = {}
    for text, protocols in ((_BOTH, (_TCP, _UDP)), (_ONLY_TCP, (_TCP,)), (_ONLY_UDP, (_UDP,))):
        for entry in text.replace("\n", " ").split(","):
            port, word = entry.split()
            found |= {(int(port), protocol): word for protocol in protocols}
    return found


def service_name(port: int, protocol: int | None) -> str | None:
    """Name the usual service of a TCP (6) or UDP (17) port; None if there is none."""
    return _names().get((port, protocol)) if protocol is not None else None


def label(port: int, protocol: int | None) -> str:
    """Format port, protocol and usual service: '443/tcp (https)', 'icmp' without ports."""
    word = PROTOCOLS.get(protocol, f"protocol {protocol}") if protocol is not None else "?"
    usual = service_name(port, protocol)
    return f"{port}/{word}{f' ({usual})' if usual else ''}" if port else word


def service_names() -> dict[str, list[tuple[int, int]]]:
    """Return the usual services by name, each with its ports and protocols, in order."""
    found: dict[str, list[tuple[int, int]]] = {}
    for key, word in sorted(_names().items()):
        found.setdefault(word, []).append(key)
    return found
