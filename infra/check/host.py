"""host.json, every function.json and the deployment workflow against schemas, and the workflow's actions against being moved."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path(__file__).parent / "schemas"
# owner/name@40 hexadecimal digits # the version they are.
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d")


def against(path, schema):
    validator = jsonschema.Draft202012Validator(json.loads((SCHEMAS / schema).read_text()))
    errors = validator.iter_errors(json.loads(path.read_text()))
    # The deepest reason says most.
    best = [jsonschema.exceptions.best_match([error]) for error in errors]
    return [f"{path.relative_to(ROOT)}: {error.json_path}: {error.message}" for error in best]


def workflows():
    problems = []
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        content = path.read_text()
        used = re.findall(r"uses: (.+)", content)
        problems += [f"{path.name}: {one} is not pinned to a commit, or does not say its version" for one in used if not PINNED.match(one)]
        found = re.findall(r"\$\{\{\s*secrets\.(\w+)", content)
        problems += [f"{path.name}: uses the secret {one}" for one in found]
        if not re.search(r"^permissions:", content, re.M):
            problems.append(f"{path.name}: does not limit its permissions")
        checked = subprocess.run(
            [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", path], capture_output=True, text=True
        )
        problems += [checked.stdout + checked.stderr] if checked.returncode else []
    return problems


def main():
    functions = sorted((ROOT / "functions").glob("*/function.json"))
    problems = against(ROOT / "host.json", "host.json")
    problems += [problem for path in functions for problem in against(path, "function.json")]
    problems += workflows()
    print("\n".join(problems) or f"host.json and {len(functions)} functions are as the host wants them")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
