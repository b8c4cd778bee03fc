//! The arguments for the results folder and the dialect of tables.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use onelayer::files::csv::Dialect;
use onelayer::files::folder::Folder;
use onelayer::page;

use super::rules;

/// The results folder.
#[derive(Clone, clap::Args)]
pub struct OutArgs {
    /// Folder for the results [default: results]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub dialect: DialectArgs,
}

/// The dialect of the tables.
#[derive(Clone, clap::Args)]
pub struct DialectArgs {
    /// Separator and decimal mark of the CSV tables [default: comma]
    #[arg(long, value_enum, value_name = "DIALECT")]
    csv_dialect: Option<CsvDialect>,
}

/// The name of a dialect.
#[derive(Clone, Copy, ValueEnum)]
enum CsvDialect {
    /// `,` and a decimal point, as in RFC 4180
    Comma,
    /// `;` and a decimal comma, for spreadsheets in Swedish, German and similar languages
    Semicolon,
}

impl OutArgs {
    /// Opens the folder, and creates it if necessary.
    pub fn open(&self) -> anyhow::Result<Folder> {
        let folder = Folder::open(self.path()).context("the results cannot be written to the folder of --out")?;
        Ok(folder.with_dialect(self.dialect.get()))
    }

    fn path(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("results"))
    }

    /// Says at the end of a command, unless it is quiet, where its results are, and how to see them: on a page, which exists if
    /// `has_page`.
    pub fn say_results(&self, has_page: bool, quiet: bool) {
        if quiet {
            return;
        }
        let folder = self.path();
        let shown = folder.display();
        match has_page {
            true => say!("the results are in {shown}: open {}", folder.join(page::FILE).display()),
            false => say!("the results are in {shown}; `onelayer report --out {shown}` makes a page of them"),
        }
    }

    /// Refuses the arguments of a command that writes no results, with the reason `because`.
    pub fn check_unused(&self, because: &str) -> anyhow::Result<()> {
        let given = [("--out", self.out.is_some()), ("--csv-dialect", self.dialect.csv_dialect.is_some())];
        rules::check_unused(&given, because)
    }
}

impl DialectArgs {
    /// The chosen dialect.
    pub fn get(&self) -> Dialect {
        match self.csv_dialect {
            None | Some(CsvDialect::Comma) => Dialect::Comma,
            Some(CsvDialect::Semicolon) => Dialect::Semicolon,
        }
    }
}
