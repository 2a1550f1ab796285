"""Parts of domain names: the registered domain, who answers for it, and listed parent domains.

No public suffix list is used: none ships with a dependency, and it changes every week. The rule:
the registered domain is the last two labels of a name (evil.example), or the last three where the
last two are a registry's or a dynamic DNS provider's (evil.co.uk, evil.duckdns.org). A registry is
recognised by a usual second-level label under a country code (REGISTRY_LABELS).

Known limit: under an unusual registry (city.kawasaki.jp) several registrants count as one domain.
"""

from __future__ import annotations

import ibis
from ibis import _

from flowbench.text import escape_controls

# Second-level labels under which country-code registries register names.
REGISTRY_LABELS = (
    "ac co com edu gen go gob gov govt gv id ind info ltd me mil ne net nhs nic nom or org plc sch"
    " school"
).split()
# Dynamic DNS providers: every customer has a name of their own below one of these.
DYNAMIC_DNS = (
    "chickenkiller.com ddns.net ddnsfree.com duckdns.org dyndns.org dynserv.com dynu.com dynu.net"
    " eu.org freeddns.org gotdns.com homeip.net hopto.org mooo.com no-ip.biz no-ip.com no-ip.info"
    " no-ip.org redirectme.net serveftp.com servehttp.com strangled.net sytes.net us.to yi.org"
    " zapto.org"
).split()
# Top-level names that the internet does not have: of special use (RFC 6761, 6762), "internal", that
# ICANN reserved, and usual private ones. "example", "test" and "invalid" are not among them, since
# training cases use them for domains of the internet.
PRIVATE_TLDS = (
    "alt corp domain home internal intranet lan local localdomain localhost mail onion private"
    " workgroup"
).split()
# Domains of clouds and CDNs whose operator answers for all names: customers have names
# in them (buckets, load balancers, sites), with hashes too, but cannot delegate one to name servers
# of their own, so no tunnel ends there.
OPERATOR_DOMAINS = frozenset(
    """
    1e100.net a2z.com aaplimg.com akadns.net akamai.net akamaiedge.net akamaihd.net
    akamaitechnologies.com akamaized.net amazon.com amazonaws.com amazonaws.com.cn amazontrust.com
    api.aws apple-dns.net apple.com appspot.com aws.com aws.dev awsapps.com awsdns.com
    awsglobalaccelerator.com awsstatic.com azure-api.net azure-devices.net azure-dns.com azure.com
    azure.net azureedge.net azurefd.net azurewebsites.net b-cdn.net blogspot.com cdn77.org
    cdninstagram.com cloudapp.net cloudflare.com cloudflare.net cloudfront.net cloudfunctions.net
    digitaloceanspaces.com doubleclick.net edgecastcdn.net edgekey.net edgesuite.net
    elasticbeanstalk.com facebook.com fastly.net fastlylb.net fbcdn.net firebaseio.com
    footprintdns.com ggpht.com github.com github.io githubusercontent.com google.com
    googleapis.com googlesyndication.com googletagmanager.com googleusercontent.com
    googlevideo.com gstatic.com gvt1.com gvt2.com herokuapp.com icloud-content.com icloud.com
    live.com lldns.net llnwd.net microsoft.com microsoftonline.com msedge.net netlify.app
    nflxvideo.net office.com office.net office365.com on.aws ondigitalocean.app outlook.com
    pages.dev rackcdn.com run.app sharepoint.com skype.com stackpathdns.com trafficmanager.net
    tumblr.com ubuntu.com vercel.app whatsapp.net windows.com windows.net windowsupdate.com
    wordpress.com workers.dev youtube.com ytimg.com
    """.split()
)
# Services whose clients name files, addresses and domains in the name that they look up: virus
# scanners, block lists, routing data. They are the usual false positives of a bound on information.
REPUTATION_DOMAINS = frozenset(
    """
    0spam.org abuse.ch abuseat.org avast.com avg.com avira.com barracuda.com barracudacentral.org
    bitdefender.com bitdefender.net brightcloud.com cloudsink.net cylance.com cymru.com dnswl.org
    drweb.com e5.sk eset.com f-secure.com fortiguard.com fortiguard.net fortinet.com fortinet.net
    fsapi.com gdatasecurity.de invaluement.com kaspersky-labs.com kaspersky.com mailspike.net
    mailspike.org malwarebytes.com manitu.net mcafee.com norton.com nszones.com opendns.com
    pandasecurity.com proofpoint.com rspamd.com senderbase.org senderscore.com sonicwall.com
    sophos.com sophosxl.com sophosxl.net sorbs.net spamcop.net spameatingmonkey.net spamhaus.com
    spamhaus.net spamhaus.org support-intelligence.net surbl.org symantec.com team-cymru.com
    trellix.com trendmicro.com uceprotect.net umbrella.com uribl.com webcfs00.com
    webrootcloudav.com zscaler.com
    """.split()
)

MAX_NAME = 1_020  # characters: 255 bytes, each of which logs may write as \ooo

_SHOWN = 60  # characters of a name in a sentence
_PRIVATE = rf"\.(?:arpa|{'|'.join(PRIVATE_TLDS)})$"
_MAX_LABELS = 8  # of a listed domain; more specific ones match by their last labels only


def registered_domain(name: ibis.Value) -> ibis.Value:
    """Return the registered domain of a name; a single label is returned as it is.

    Args:
        name: A string expression: names in lower case without the trailing dot.
    """
    labels = name.split(".")
    two = labels[-2:].join(".")
    registry = labels[-2].isin(REGISTRY_LABELS) & (labels[-1].length() == 2)
    return (registry | two.isin(DYNAMIC_DNS)).ifelse(labels[-3:].join("."), two)


def is_public_name(name: ibis.Value) -> ibis.Value:
    """Whether a name belongs to a domain that someone registered on the internet.

    Single labels, reverse look-ups (in-addr.arpa, ip6.arpa), names of the private top-level domains
    (AWS's ec2.internal and compute.internal among them), and texts longer than a name can be do
    not.
    """
    return name.contains(".") & (name.length() <= MAX_NAME) & ~name.re_search(_PRIVATE)


def shorten_name(name: str) -> str:
    """Return a name that anyone may have chosen as a sentence can have it: short, on one line."""
    name = escape_controls(name)
    return name if len(name) <= _SHOWN else f"{name[: _SHOWN - 1]}…"


def match_parents(names: ibis.Table, domains: ibis.Table) -> ibis.Table:
    """Return the pairs of a name and a domain that is the name or above it.

    Args:
        names: A table with the column ``name``.
        domains: A table with the column ``domain``.

    Returns:
        A table of name and domain, each pair once, in no order.
    """
    listed = domains.select("domain").distinct()
    listed = listed.mutate(labels=_.domain.split(".").length())
    names = names.select("name").distinct()
    names = names.mutate(labels=_.name.split("."))
    pairs = []
    for count in range(1, _MAX_LABELS + 1):
        of_length = listed.filter(listed.labels == count).select("domain")
        long_enough = names.filter(names.labels.length() >= count)
        suffix = long_enough.labels[-count:].join(".")
        pairs.append(long_enough.select("name", domain=suffix).inner_join(of_length, "domain"))
    return ibis.union(*pairs).select("name", "domain").distinct()
