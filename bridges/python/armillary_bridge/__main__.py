"""`python -m armillary_bridge RIG`: what `armillary --rig RIG` starts. With `--describe`, prints the plant's spec and ends."""

from __future__ import annotations

import dataclasses
import json
import sys

from armillary_bridge.errors import told
from armillary_bridge.rigs import open_rig
from armillary_bridge.server import claim_pipe, fail, serve


def main() -> int:
    arguments = sys.argv[1:]
    describe = "--describe" in arguments
    names = [argument for argument in arguments if argument != "--describe"]
    if len(names) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    if describe:
        try:
            spec = open_rig(names[0]).spec
        except (Exception, SystemExit) as error:
            print(f"rig `{names[0]}`: {told(error)}", file=sys.stderr)
            return 1
        print(json.dumps(dataclasses.asdict(spec), indent=2))
        return 0
    requests, answers = claim_pipe()
    try:
        plant = open_rig(names[0])
    # Whatever keeps the environment from being made, the other side says it.
    except (Exception, SystemExit) as error:
        fail(answers, error)
        return 1
    serve(plant, requests, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
