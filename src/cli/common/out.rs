//! The arguments for the results folder and the dialect of tables.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use onelayer::files::csv::Dialect;
use onelayer::files::folder::Folder;

/// The results folder.
#[derive(Clone, clap::Args)]
pub struct OutArgs {
    /// Folder for the results
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    #[command(flatten)]
    pub dialect: DialectArgs,
}

/// The dialect of the tables.
#[derive(Clone, clap::Args)]
pub struct DialectArgs {
    /// Separator and decimal mark of the CSV tables
    #[arg(long, value_enum, value_name = "DIALECT", default_value = "comma")]
    csv_dialect: CsvDialect,
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
        let folder = Folder::open(&self.out).context("the results cannot be written to the folder of --out")?;
        Ok(folder.with_dialect(self.dialect.get()))
    }
}

impl DialectArgs {
    /// The chosen dialect.
    pub fn get(&self) -> Dialect {
        match self.csv_dialect {
            CsvDialect::Comma => Dialect::Comma,
            CsvDialect::Semicolon => Dialect::Semicolon,
        }
    }
}
