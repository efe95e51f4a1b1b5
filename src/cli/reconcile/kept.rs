//! `concord reconcile list|show`: what was compared before.

use std::process::ExitCode;

use super::{Error, view};
use crate::app::App;
use crate::cli::columns::Columns;
use crate::cli::{Outcome, named, output};
use crate::reconcile::{Figures, Reconciler};

/// List what was compared, the newest last
#[derive(Clone, Debug, clap::Args)]
pub(super) struct List {
    /// This map alone
    #[arg(long, value_name = "NAME")]
    map: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Show one report; the newest without a name
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Show {
    /// The comparison, as the list names it
    run: Option<String>,
    /// Of this map
    #[arg(long, value_name = "NAME")]
    map: Vec<String>,
    /// Write the page to this file instead
    #[arg(long, value_name = "FILE")]
    html: Option<std::path::PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(args: &List, app: &App, reconciler: &Reconciler) -> Outcome {
    let mut all = std::collections::BTreeMap::<String, Vec<Figures>>::new();
    for map in named::maps(&app.maps, &args.map)? {
        let trend = reconciler.reports().trend(&map).await?;
        all.insert(map, trend);
    }
    if args.json {
        output::json(&all);
        return Ok(ExitCode::SUCCESS);
    }
    let mut columns = Columns::default().firm(2);
    columns.row(["MAP", "RUN", "DEPTH", "SOURCE", "TARGET", "FOUND", "HOLES", "MENDED", "OPEN"]);
    for (map, trend) in &all {
        for figures in trend {
            let (ours, theirs) = figures.rows;
            let numbers =
                [ours, theirs, figures.found, figures.holes, figures.mended, figures.open];
            let names = [map.clone(), figures.run.clone(), figures.depth.word().to_owned()];
            columns.row(names.into_iter().chain(numbers.map(|number| number.to_string())));
        }
    }
    columns.lines().iter().for_each(output::line);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show(args: &Show, app: &App, reconciler: &Reconciler) -> Outcome {
    let mut shown = Vec::new();
    for map in named::maps(&app.maps, &args.map)? {
        shown.extend(reconciler.reports().get(&map, args.run.as_deref()).await?);
    }
    let Some(newest) = shown.last() else { return Err(Error::Report.into()) };
    if let Some(path) = &args.html {
        let page = reconciler.reports().page(&newest.order.map, &newest.order.run).await?;
        let page = page.ok_or(Error::Report)?;
        std::fs::write(path, page)
            .map_err(|source| Error::Page { path: path.display().to_string(), source })?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        output::json(&shown);
    } else {
        shown.iter().flat_map(view::lines).for_each(output::line);
    }
    Ok(ExitCode::SUCCESS)
}
