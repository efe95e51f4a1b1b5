//! Everything that a local run needs, set up: environments, storage, hub and host.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::environment::Environment;
use super::expected::Countries;
use super::folder::Folder;
use super::night::NIGHTLY;
use super::settings::{self, Settings};
use super::stream::PARTITIONS;
use super::web::Web;
use super::{Args, Error, output};
use crate::chance::Chance;
use crate::clock::{SharedClock, SystemClock};
use crate::emulator::dataverse::state as dataverse;
use crate::emulator::host::hub::Hub;
use crate::emulator::host::{Host, Notice, Options, Surroundings, read_settings};
use crate::store::{self, Config, Names, Queue, Stores};

/// Bodies by the partition they are sent to, in order.
pub(super) type Sends = Vec<(usize, Vec<Bytes>)>;

/// What a scenario sets up otherwise.
#[derive(Default)]
pub(super) struct Scene {
    /// The time of the environments.
    pub(super) clock: Option<SharedClock>,
    /// More settings.
    pub(super) settings: Vec<(String, String)>,
}

/// What is set up.
pub(super) struct Stage {
    pub(super) host: Host,
    pub(super) hub: Arc<Hub>,
    /// The consumer group of the function that takes events.
    pub(super) group: String,
    pub(super) timers: Vec<String>,
    /// Whether both sides are compared after a pass, and the names of all maps.
    pub(super) nightly: bool,
    pub(super) maps: Vec<String>,
    /// The app settings.
    pub(super) settings: Settings,
    pub(super) stores: Stores,
    pub(super) environments: Vec<Environment>,
    pub(super) countries: Countries,
    /// Whether the maps are those of the project, for which there is a model.
    pub(super) shipped_maps: bool,
    // Last, so that what uses the folder is gone before a temporary folder is.
    pub(super) folder: Folder,
}

impl Stage {
    /// Sets everything up and answers where the host tells what happens.
    pub(super) async fn set(
        args: &Args,
        scene: Scene,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Notice>), Error> {
        let unreadable = |source| Error::Unreadable { path: args.root.clone(), source };
        let root = args.root.canonicalize().map_err(unreadable)?;
        let maps = match &args.maps {
            Some(maps) => maps.canonicalize().map_err(unreadable)?,
            None => root.join("maps"),
        };
        let chance = Chance::from_system();
        let clock: SharedClock = Arc::new(SystemClock);
        let folder = folder(args, &root, &chance)?;
        let mut values = settings::read(&root)?;
        values.extend(scene.settings);
        let schema = args.schema.clone().unwrap_or_else(|| root.join("samples/schema.toml"));
        let now = scene.clock.unwrap_or_else(|| Arc::clone(&clock));
        let emulated =
            dataverse::Options { schema: Some(schema), clock: now, ..Default::default() };
        let environments = environments(&maps, &emulated, &mut values).await?;
        let countries = super::environment::countries(&maps)?;
        values.insert("CONCORD_MAPS".to_owned(), maps.display().to_string());
        let storage = format!("local:{}", folder.path.display());
        values.insert("CONCORD_STORAGE".to_owned(), storage);

        let app = read_settings(&root, &values)?;
        let (group, name) = app.hub().ok_or(Error::NoEvents)?;
        let (group, hub) = (group.to_owned(), Hub::new("dev.servicebus.local", name, PARTITIONS));
        let hub = Arc::new(hub);
        let stores = open(&folder.path, None, &clock, &chance).await?;
        let mut queues: BTreeMap<String, Arc<dyn Queue>> = BTreeMap::new();
        for queue in app.queues() {
            for name in [queue.to_owned(), format!("{queue}-poison")] {
                let opened = open(&folder.path, Some(&name), &clock, &chance).await?;
                queues.insert(name, opened.work);
            }
        }
        let (told, notices) = mpsc::unbounded_channel();
        let (hub_of, buses) = (Arc::clone(&hub), BTreeMap::new());
        let around = Surroundings { hub: hub_of, queues, buses, clock, chance, notices: told };
        // The night is not for bringing anything to its end.
        let nightly = app.timers().any(|timer| timer == NIGHTLY);
        let timers = app.timers().filter(|timer| *timer != NIGHTLY).map(str::to_owned).collect();
        let names = settings::map_names(&maps)?;
        let executable = std::env::current_exe().ok();
        let key = around.chance.uuid().simple().to_string();
        values.insert("WEBHOOK_FUNCTION_KEY".to_owned(), key.clone());
        let settings = values.clone();
        let options = Options { root, executable, settings: values, key, pace: args.pace };
        let host = Host::new(options, app, around)?;
        let shipped_maps = args.maps.is_none();
        let stage = Self {
            host,
            hub,
            group,
            timers,
            nightly,
            maps: names,
            settings,
            stores,
            environments,
            countries,
            shipped_maps,
            folder,
        };
        stage.seed().await?;
        stage.environments.iter().for_each(|environment| environment.begin(&args.faults));
        Ok((stage, notices))
    }

    /// Says on stderr where everything is.
    pub(super) fn announce(&self) {
        for environment in &self.environments {
            let address = environment.address();
            output::note(format!("{:<12} {address}/api/data/v9.2/", environment.system));
        }
        output::note(format!("{:<12} {}", "storage", self.folder.path.display()));
    }

    /// How many requests each environment served, what seeds and checks it left out.
    pub(super) fn calls(&self) -> Vec<(String, u64)> {
        let calls = self.environments.iter().map(|it| (it.system.clone(), it.calls()));
        calls.collect()
    }

    /// The Web API of a system's environment.
    pub(super) fn web(&self, system: &str) -> Option<Web> {
        self.environment(system).map(|environment| Web::at(environment.address()))
    }

    /// The environment of a system.
    pub(super) fn environment(&self, system: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.system == system)
    }

    /// The rows that delivery points refer to are in Logistics before anything starts.
    async fn seed(&self) -> Result<(), Error> {
        if let (true, Some(logistics)) = (self.shipped_maps, self.web("logistics")) {
            logistics.seed(&self.countries).await?;
        }
        Ok(())
    }
}

fn folder(args: &Args, root: &Path, chance: &Chance) -> Result<Folder, Error> {
    match &args.storage {
        Some(path) => Folder::named(path),
        None if args.once => Folder::temporary(chance),
        None => Folder::own(root),
    }
}

async fn environments(
    maps: &Path,
    options: &dataverse::Options,
    values: &mut Settings,
) -> Result<Vec<Environment>, Error> {
    let mut environments = Vec::new();
    for (system, setting) in settings::targets(maps)? {
        let environment = Environment::start(system, options.clone()).await?;
        values.insert(setting, environment.address());
        environments.push(environment);
    }
    Ok(environments)
}

/// Opens the folder's storage; `queue` is opened in place of the work queue.
async fn open(
    folder: &Path,
    queue: Option<&str>,
    clock: &SharedClock,
    chance: &Chance,
) -> Result<Stores, Error> {
    let credential = crate::identity::Credential::ManagedIdentity { client_id: None };
    let mut names = Names::default();
    if let Some(queue) = queue {
        queue.clone_into(&mut names.work);
    }
    let place = store::Place::Local { folder: folder.to_owned() };
    let config = Config { place, names, credential };
    Ok(store::open(&config, Arc::clone(clock), chance.clone()).await?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::dev::expected::Consumer;
    use crate::emulator::dataverse::faults::Faults;

    #[tokio::test]
    async fn the_shipped_project_is_set_up_with_an_empty_environment_for_each_target() {
        let args = Args {
            once: true,
            json: false,
            input: None,
            root: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
            maps: None,
            schema: None,
            faults: Faults::default(),
            storage: None,
            organisations: None,
            seed: 1,
            scenario: None,
            rest: 0,
            pace: 1,
        };
        let (stage, _notices) = Stage::set(&args, Scene::default()).await.unwrap();
        assert!(stage.calls().iter().all(|(_, calls)| *calls == 0), "seeding does not count");
        for consumer in Consumer::ALL {
            let web = stage.web(consumer.system()).unwrap();
            assert!(web.held(consumer).await.unwrap().is_empty());
        }
        let logistics = stage.web("logistics").unwrap();
        let countries = logistics.rows("acme_countries", &["acme_number"]).await.unwrap();
        assert_eq!(countries.len(), stage.countries.len());
        assert_eq!((stage.group.as_str(), stage.timers.len()), ("$Default", 2));
        let folder = stage.folder.path.clone();
        drop(stage);
        assert!(!folder.exists());
    }
}
