# Reads paths of nginx configurations, one on a line, and answers each with one line of JSON: what crossplane makes of it,
# includes joined, comments kept. Checks nothing itself: the real nginx does, and the test compares.
import json
import sys

import crossplane

for line in sys.stdin:
    parsed = crossplane.parse(line.rstrip("\n"), combine=True, comments=True, strict=False, check_ctx=False, check_args=False)
    answer = {"status": parsed["status"], "errors": [str(error["error"]) for error in parsed["errors"]]}
    answer["parsed"] = parsed["config"][0]["parsed"] if parsed["config"] else []
    print(json.dumps(answer), flush=True)
