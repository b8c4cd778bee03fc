//! Where a command puts its files, and in which dialect its tables are: the arguments that several commands share.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use onelayer::files::csv::Dialect;
use onelayer::files::folder::Folder;

/// A folder for tables and whatever else a command makes.
#[derive(Clone, clap::Args)]
pub struct OutArgs {
    /// Folder that the results are written to
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

/// A dialect by its name.
#[derive(Clone, Copy, ValueEnum)]
enum CsvDialect {
    /// `,` and a decimal point, as RFC 4180 has it
    Comma,
    /// `;` and a decimal comma, for spreadsheets in Swedish, German and the like
    Semicolon,
}

impl OutArgs {
    /// Makes the folder if need be; it can be written to.
    pub fn open(&self) -> anyhow::Result<Folder> {
        let folder = Folder::open(&self.out).context("the results need a folder to be written in (--out)")?;
        Ok(folder.with_dialect(self.dialect.get()))
    }
}

impl DialectArgs {
    /// The dialect that is asked for.
    pub fn get(&self) -> Dialect {
        match self.csv_dialect {
            CsvDialect::Comma => Dialect::Comma,
            CsvDialect::Semicolon => Dialect::Semicolon,
        }
    }
}
