"""AppEvent → Activity, or the reason why not: identity, rules, envelope."""
