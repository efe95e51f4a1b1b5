"""What `concord package` packed, seen with other eyes: the zip as the host unpacks it, and the bill of materials against the
schema of CycloneDX.

Called with the folder that it was packed into.
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]


def layout(folder):
    problems = []
    zipped = folder / "app.zip"
    with zipfile.ZipFile(zipped) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        host = json.loads(archive.read("host.json"))
        if archive.testzip():
            problems.append("app.zip is damaged")
    program = host["customHandler"]["description"]["defaultExecutablePath"]
    wanted = {"host.json", program}
    wanted |= {f"{path.parent.name}/function.json" for path in (ROOT / "functions").glob("*/function.json")}
    wanted |= {str(path.relative_to(ROOT)) for path in (ROOT / "maps").rglob("*") if path.is_file() and not path.name.startswith(".")}
    problems += [f"app.zip lacks {name}" for name in sorted(wanted - set(names))]
    problems += [f"app.zip has {name}, which the host does not want" for name in sorted(set(names) - wanted)]
    if names != sorted(names) or len(names) != len(set(names)):
        problems.append("app.zip is not in order")
    for entry in entries:
        mode, wanted_mode = entry.external_attr >> 16 & 0o7777, 0o755 if entry.filename == program else 0o644
        if mode != wanted_mode or entry.create_system != 3:
            problems.append(f"app.zip: {entry.filename} has the mode {mode:o}")
        if entry.date_time != (1980, 1, 1, 0, 0, 0):
            problems.append(f"app.zip: {entry.filename} has a time of its own")
    said = (folder / "app.zip.sha256").read_text()
    if said != f"{hashlib.sha256(zipped.read_bytes()).hexdigest()}  app.zip\n":
        problems.append("app.zip.sha256 is of another file")
    return problems


def bill(folder):
    text = (folder / "sbom.cdx.json").read_text()
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    problems = [f"sbom.cdx.json: {found}"] if found else []
    bill = json.loads(text)
    refs = {component["bom-ref"] for component in [bill["metadata"]["component"], *bill["components"]]}
    listed = {dependency["ref"] for dependency in bill["dependencies"]}
    used = {ref for dependency in bill["dependencies"] for ref in dependency["dependsOn"]}
    if refs != listed or used - refs:
        problems.append("sbom.cdx.json: components and dependencies do not fit together")
    locked = set(re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"', (ROOT / "Cargo.lock").read_text()))
    for component in bill["components"]:
        if (component["name"], component["version"]) not in locked:
            problems.append(f"sbom.cdx.json: {component['name']} is not in Cargo.lock")
        if "licenses" not in component or "hashes" not in component:
            problems.append(f"sbom.cdx.json: {component['name']} has no licence or no hash")
    return problems


def main():
    folder = Path(sys.argv[1])
    problems = layout(folder) + bill(folder)
    print("\n".join(problems) or "the package and its bill of materials are in order")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
