//! The bill of materials: `CycloneDX` 1.6 of every crate that is in the binary or made it.
//!
//! In comes what cargo resolved for the host's machine, and the checksums of `Cargo.lock`; development
//! dependencies are left out. Out comes JSON without a time, whose serial number is computed from what it
//! lists, so that the same crates give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Error, build};

/// A bill of materials.
#[derive(Debug)]
pub(super) struct Bill(Value);

impl Bill {
    /// How many crates it lists.
    pub(super) fn components(&self) -> usize {
        self.0.get("components").and_then(Value::as_array).map_or(0, Vec::len)
    }

    /// As it is written to a file.
    pub(super) fn text(&self) -> String {
        format!("{:#}\n", self.0)
    }
}

/// The bill of the project at `root`.
pub(super) fn of(root: &Path) -> Result<Bill, Error> {
    let metadata = build::metadata(root, &[])?;
    let path = root.join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(Error::reading(&path))?;
    let unreadable = |what: &str| Error::Tool {
        command: "cargo metadata".to_owned(),
        advice: format!("{what} is not as expected; is this another version of cargo?"),
    };
    let sums = checksums(&lock).ok_or_else(|| unreadable("Cargo.lock"))?;
    Graph::read(&metadata)
        .and_then(|graph| graph.bill(&sums))
        .ok_or_else(|| unreadable("its answer"))
}

type Sums = BTreeMap<(String, String), String>;

/// The SHA-256 of each crate's archive, by name and version.
fn checksums(lock: &str) -> Option<Sums> {
    let lock: toml::Table = lock.parse().ok()?;
    let mut sums = Sums::new();
    for package in lock.get("package")?.as_array()? {
        let text = |key: &str| package.get(key)?.as_str().map(str::to_owned);
        if let Some(sum) = text("checksum") {
            sums.insert((text("name")?, text("version")?), sum);
        }
    }
    Some(sums)
}

/// Crates and what each needs, by cargo's id.
struct Graph<'m> {
    root: &'m str,
    packages: BTreeMap<&'m str, &'m Value>,
    needs: BTreeMap<&'m str, BTreeSet<&'m str>>,
}

impl<'m> Graph<'m> {
    fn read(metadata: &'m Value) -> Option<Self> {
        let id = |value: &'m Value| value.get("id")?.as_str();
        let packages = metadata.get("packages")?.as_array()?;
        let packages = packages.iter().filter_map(|package| Some((id(package)?, package)));
        let resolve = metadata.get("resolve")?;
        let nodes = resolve.get("nodes")?.as_array()?;
        let needs = nodes.iter().filter_map(|node| Some((id(node)?, needs(node)?)));
        Some(Self {
            root: resolve.get("root")?.as_str()?,
            packages: packages.collect(),
            needs: needs.collect(),
        })
    }

    /// Everything that the root needs, itself included.
    fn reached(&self) -> BTreeSet<&'m str> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![self.root]);
        while let Some(id) = open.pop() {
            if reached.insert(id) {
                open.extend(self.needs.get(id).into_iter().flatten());
            }
        }
        reached
    }

    fn bill(&self, sums: &Sums) -> Option<Bill> {
        let (mut components, mut dependencies) = (BTreeMap::new(), BTreeMap::new());
        for id in self.reached() {
            let package = self.packages.get(id)?;
            let name = purl(package)?;
            if id != self.root {
                components.insert(name.clone(), component(package, "library", sums)?);
            }
            let needs = self.needs.get(id).into_iter().flatten();
            let needs: Option<BTreeSet<String>> =
                needs.map(|id| purl(self.packages.get(id)?)).collect();
            dependencies.insert(name.clone(), json!({ "ref": name, "dependsOn": needs? }));
        }
        let components: Vec<Value> = components.into_values().collect();
        let dependencies: Vec<Value> = dependencies.into_values().collect();
        let app = component(self.packages.get(self.root)?, "application", sums)?;
        let listed = json!([app, components, dependencies]).to_string();
        let serial = Uuid::new_v5(&Uuid::NAMESPACE_URL, listed.as_bytes()).urn().to_string();
        Some(Bill(json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": serial,
            "version": 1,
            "metadata": { "component": app },
            "components": components,
            "dependencies": dependencies,
        })))
    }
}

/// What a node needs to run or to be built.
fn needs(node: &Value) -> Option<BTreeSet<&str>> {
    let is_needed = |need: &&Value| {
        let kinds = need.get("dep_kinds").and_then(Value::as_array);
        kinds.is_some_and(|kinds| {
            kinds.iter().any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"))
        })
    };
    let needs = node.get("deps")?.as_array()?.iter().filter(is_needed);
    needs.map(|need| need.get("pkg")?.as_str()).collect()
}

fn component(package: &Value, kind: &str, sums: &Sums) -> Option<Value> {
    let text = |key: &str| package.get(key).and_then(Value::as_str);
    let (name, version, purl) = (text("name")?, text("version")?, purl(package)?);
    let mut component = Map::new();
    let mut put = |key: &str, value: Value| component.insert(key.to_owned(), value);
    put("type", json!(kind));
    put("bom-ref", json!(purl));
    put("name", json!(name));
    put("version", json!(version));
    if let Some(sum) = sums.get(&(name.to_owned(), version.to_owned())) {
        put("hashes", json!([{ "alg": "SHA-256", "content": sum }]));
    }
    // Old manifests divide by a slash what SPDX joins by OR.
    if let Some(licence) = text("license") {
        let expression = licence.replace(" / ", "/").replace('/', " OR ");
        put("licenses", json!([{ "expression": expression }]));
    }
    put("purl", json!(purl));
    if let Some(address) = text("repository").filter(|text| text.starts_with("https://")) {
        put("externalReferences", json!([{ "type": "vcs", "url": address }]));
    }
    Some(Value::Object(component))
}

/// The package URL of a crate (package-url specification, type cargo). A `+` of a version is escaped.
fn purl(package: &Value) -> Option<String> {
    let text = |key: &str| package.get(key).and_then(Value::as_str);
    Some(format!("pkg:cargo/{}@{}", text("name")?, text("version")?.replace('+', "%2B")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Value {
        json!({ "id": name, "name": name, "version": "1.0.0+b", "license": "MIT/Apache-2.0" })
    }

    fn need(name: &str, kind: Option<&str>) -> Value {
        json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] })
    }

    #[test]
    fn what_the_binary_is_made_of_is_listed_and_what_tests_it_is_not() {
        let metadata = json!({
            "packages": [package("app"), package("used"), package("deep"), package("tester")],
            "resolve": { "root": "app", "nodes": [
                { "id": "app", "deps": [need("used", None), need("tester", Some("dev"))] },
                { "id": "used", "deps": [need("deep", Some("build"))] },
                { "id": "deep", "deps": [] },
                { "id": "tester", "deps": [] },
            ] },
        });
        let lock = "[[package]]\nname = \"used\"\nversion = \"1.0.0+b\"\nchecksum = \"c0ffee\"\n";
        let bill = Graph::read(&metadata).unwrap().bill(&checksums(lock).unwrap()).unwrap();
        let names: Vec<_> =
            bill.0["components"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["deep", "used"]);
        let used = &bill.0["components"][1];
        assert_eq!(used["purl"], "pkg:cargo/used@1.0.0%2Bb");
        assert_eq!(used["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(used["hashes"][0]["content"], "c0ffee");
        let of_app = &bill.0["dependencies"][0];
        assert_eq!(of_app["dependsOn"], json!(["pkg:cargo/used@1.0.0%2Bb"]));
    }
}
