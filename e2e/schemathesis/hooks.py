"""What a schema cannot say: an empty parameter of a query is the same as none."""

import schemathesis


@schemathesis.hook
def filter_case(_context, case):
    """Drops questions with a parameter that would be written as nothing."""
    return not any(value in ("", None, [], {}, [""]) for value in (case.query or {}).values())
