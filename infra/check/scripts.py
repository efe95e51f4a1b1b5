"""infra/deploy.sh and infra/hooks.sh, run from end to end against an `az`, a `cargo` and a `sleep` that only write down what they
were asked: a first deployment, one where a package is given, one that only looks, and one whose app never comes up.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What `az` answers, by the words it is asked with.
AZ = """#!/bin/sh
echo "az $*" >>"$CALLS"
case "$*" in
  *"functionapp list "*) echo func-x ;;
  *"keyvault list "*) echo kv-x ;;
  *"function list "*) echo "$FUNCTIONS" ;;
  *"keyvault show "*) echo /subscriptions/s/vaults/kv-x ;;
  *"rest --method get "*) [ "$KNOWN" = yes ] ;;
  *"keys list "*) echo the-key ;;
  *"functionapp show "*) echo func-x.azurewebsites.net ;;
esac
"""
CARGO = """#!/bin/sh
echo "cargo $* storage=${CONCORD_STORAGE:-none} key=${WEBHOOK_FUNCTION_KEY:-none} secret=${#SALES_WEBHOOK_SECRET}" >>"$CALLS"
"""
# Names of a package of two functions.
ENTRIES = ("concord", "events/function.json", "host.json", "sweep/function.json")


class Site:
    """A copy of the project's scripts, with tools that write down."""

    def __init__(self, folder):
        self.folder, self.calls = Path(folder), Path(folder) / "calls"
        tools = self.folder / "tools"
        for place in ("infra", "maps", "dist", "tools"):
            (self.folder / place).mkdir()
        for name in ("deploy.sh", "hooks.sh"):
            copy = self.folder / "infra" / name
            copy.write_bytes((ROOT / "infra" / name).read_bytes())
            copy.chmod(0o755)
        (self.folder / "maps/concord.toml").write_text('[systems.sales]\nwebhook_secret = "${SALES_WEBHOOK_SECRET}"\n')
        for name, text in (("az", AZ), ("cargo", CARGO), ("sleep", "#!/bin/sh\n")):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        for name in ("dist/app.zip", "before.zip"):
            with zipfile.ZipFile(self.folder / name, "w") as archive:
                for entry in ENTRIES:
                    archive.writestr(entry, "x")

    def deploy(self, *arguments, **settings):
        """The exit code, what was called, and what was said."""
        self.calls.write_text("")
        own = {"PATH": f"{self.folder / 'tools'}:{os.environ['PATH']}", "CALLS": str(self.calls), "FUNCTIONS": "2", "KNOWN": "no", "CONCORD_STORAGE": "acct"}
        ran = subprocess.run([self.folder / "infra/deploy.sh", *arguments], env=own | settings, capture_output=True, text=True)
        return ran.returncode, self.calls.read_text().splitlines(), ran.stdout + ran.stderr


def order(calls, *wanted):
    """Whether these beginnings were called in this order."""
    found = iter(calls)
    return all(any(call.startswith(start) for call in found) for start in wanted)


def problems(site):
    code, calls, said = site.deploy("dev", "rg", "westeurope")
    whole = (
        "az group create --name rg --location westeurope",
        "cargo run --locked -- package",
        "az provider register --namespace Microsoft.App",
        "az deployment group create --name concord --resource-group rg --template-file infra/main.bicep --parameters infra/dev.bicepparam",
        "az functionapp deployment source config-zip --name func-x --resource-group rg --src dist/app.zip",
        "az functionapp function list --name func-x",
        "az rest --method put",
        "az functionapp restart --name func-x",
        "cargo run --locked -- webhook register --url https://func-x.azurewebsites.net storage=none key=the-key secret=64",
    )
    if code or not order(calls, *whole):
        yield f"a first deployment: {code} {calls} {said}"
    # Registered before: the secret stays where it is and nothing is registered again.
    code, calls, said = site.deploy("prod", "rg", PACKAGE="before.zip", KNOWN="yes")
    if code or not any("--src before.zip" in call for call in calls) or any("cargo" in call or "group create --name rg" in call or "--method put" in call for call in calls):
        yield f"a package that is given: {code} {calls} {said}"
    code, calls, said = site.deploy("dev", "rg", WHAT_IF="1")
    if code or len(calls) != 1 or "what-if" not in calls[0]:
        yield f"looking alone: {code} {calls} {said}"
    code, calls, said = site.deploy("dev", "rg", FUNCTIONS="1")
    if code == 0 or "serves 1 functions of 2" not in said or any("webhook" in call for call in calls):
        yield f"an app that does not come up: {code} {calls} {said}"
    for wrong in (("dev",), ("stage", "rg"), ()):
        code, calls, said = site.deploy(*wrong)
        if code != 2 or calls or "infra/deploy.sh STAGE RESOURCE_GROUP" not in said:
            yield f"called as {wrong}: {code} {calls} {said}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        found = list(problems(Site(folder)))
    print("\n".join(found) or "both scripts do in order what they are for")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
