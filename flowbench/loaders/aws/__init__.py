"""AWS's other logs and descriptions: CloudTrail, GuardDuty, Resolver, inventory, AWS Config."""
