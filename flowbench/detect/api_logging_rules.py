"""Rules on logging and detection: trails, other logs, GuardDuty and the like."""

from __future__ import annotations

from flowbench.detect import api_conditions as on
from flowbench.detect.api_requests import named
from flowbench.detect.api_rule import EVASION, Rule

_LOGS = "Infrastructure code that removes or rebuilds an environment removes its logs too."
_DETECTION = "An administrator changes the monitoring, or moves it to another account."

LOGGING_RULES = (
    Rule("stop-trail", EVASION, "T1562.008", "high", "StopLogging DeleteTrail", _LOGS),
    Rule(
        "stop-data-store",
        EVASION,
        "T1562.008",
        "high",
        "DeleteEventDataStore StopEventDataStoreIngestion",
        _LOGS,
    ),
    Rule(
        "restrict-trail",
        EVASION,
        "T1562.008",
        "high",
        "PutEventSelectors",
        "A trail for data events alone, beside one for management events.",
        on.restricts_trail,
    ),
    Rule("weaken-trail", EVASION, "T1562.008", "medium", "UpdateTrail", _LOGS, on.weakens_trail),
    Rule(
        "expire-logs",
        EVASION,
        "T1562.008",
        "medium",
        "PutBucketLifecycle PutBucketLifecycleConfiguration",
        "The logs are kept elsewhere too.",
        on.expires_logs,
    ),
    Rule(
        "stop-traffic-logs",
        EVASION,
        "T1562.008",
        "high",
        "DeleteFlowLogs DeleteResolverQueryLogConfig DisassociateResolverQueryLogConfig",
        _LOGS,
        named("flowLogId", "resolverQueryLogConfigId"),
        undone_by="CreateFlowLogs",
    ),
    Rule(
        "delete-log-group",
        EVASION,
        "T1562.008",
        "medium",
        "DeleteLogGroup DeleteLogStream",
        _LOGS,
        people_only=True,
    ),
    Rule(
        "stop-other-logs",
        EVASION,
        "T1562.008",
        "medium",
        "StopConfigurationRecorder DeleteConfigurationRecorder DeleteDeliveryChannel"
        " DeleteModelInvocationLoggingConfiguration DeleteLoggingConfiguration",
        _LOGS,
    ),
    Rule(
        "stop-detection",
        EVASION,
        "T1562.001",
        "high",
        "DeleteDetector DisableSecurityHub DisableMacie",
        _DETECTION,
    ),
    Rule(
        "suspend-detector",
        EVASION,
        "T1562.001",
        "high",
        "UpdateDetector",
        _DETECTION,
        on.disables_detector,
    ),
    Rule(
        "trust-addresses",
        EVASION,
        "T1562.001",
        "medium",
        "CreateIPSet UpdateIPSet",
        _DETECTION,
        on.trusts_addresses,
    ),
    Rule(
        "archive-findings",
        EVASION,
        "T1562.001",
        "medium",
        "CreateFilter UpdateFilter",
        _DETECTION,
        on.archives_findings,
        source="guardduty",
    ),
    Rule(
        "leave-detection",
        EVASION,
        "T1562.001",
        "medium",
        "DisassociateFromMasterAccount DisassociateFromAdministratorAccount DisassociateMembers"
        " DeleteMembers StopMonitoringMembers DeletePublishingDestination",
        _DETECTION,
    ),
    Rule(
        "leave-organization",
        EVASION,
        "T1666",
        "high",
        "LeaveOrganization",
        "An account that is sold, or moved to another organization.",
        attempts_count=True,
    ),
)
