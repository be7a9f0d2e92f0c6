//! What the configuration announces, read and checked: the same for every session.
//!
//! *Assumes* that files are there when [`Sources::load`] is called, which takes seconds for a full
//! table, and may be called in another thread. *Guarantees* that each prefix is said one thing
//! about: of several sources that name it the last one counts (of several routes of an MRT file
//! the first); and that nothing is said that a peer would refuse for its form.

mod mrt;

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use thiserror::Error;

use super::config::Source;
use super::update::LONGEST_PATH;
use crate::Route;

use mrt::Table;

/// Why a route cannot be announced.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RouteError {
    /// RFC 4271, section 6.3: an external peer may demand it, and most do.
    #[error(
        "route {prefix}: its as_path begins with {first}, and a peer expects our own number {own} \
         first; without as_path it is our own number alone"
    )]
    OwnNumberNotFirst {
        /// The prefix.
        prefix: Ipv4Net,
        /// What the path begins with.
        first: u32,
        /// Our own number.
        own: u32,
    },
    /// The attributes would fill a message.
    #[error("route {prefix}: its as_path has {given} numbers; at most {LONGEST_PATH} are sent")]
    PathTooLong {
        /// The prefix.
        prefix: Ipv4Net,
        /// How many numbers it has.
        given: usize,
    },
    /// RFC 7607: a peer must take it for an error.
    #[error("route {prefix}: its as_path has the reserved number 0")]
    NumberZero {
        /// The prefix.
        prefix: Ipv4Net,
    },
    /// Peers ignore it (RFC 4271, section 6.3).
    #[error("prefix {prefix} is no unicast prefix")]
    NotUnicast {
        /// The prefix.
        prefix: Ipv4Net,
    },
}

/// Why sources cannot be announced.
#[derive(Debug, Error)]
pub enum SourceError {
    /// One of their routes cannot.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// There are not so many prefixes.
    #[error("filler {first}, count {count}: the last would be above 223.255.255.255")]
    Filler {
        /// The first.
        first: Ipv4Net,
        /// How many.
        count: u32,
    },
    /// Nothing would ever be sent.
    #[error("filler {first}: rate_per_s is 0; leave it out to send as fast as the peer takes it")]
    Rate {
        /// The first.
        first: Ipv4Net,
    },
    /// A file cannot be read.
    #[error("cannot read the MRT file {path}: {source}")]
    File {
        /// Where it is.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error(
        "{path} is no MRT file (RFC 6396), plain, .gz or .bz2, or is damaged: after {routes} \
         routes: {reason}"
    )]
    NotMrt {
        /// Where it is.
        path: PathBuf,
        /// Routes of any kind that were read until then.
        routes: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A file has nothing to announce.
    #[error(
        "the MRT file {path} has no IPv4 unicast route with a plain AS path ({left_out} left out \
         whose path has a set or more than {LONGEST_PATH} numbers)"
    )]
    NoRoute {
        /// Where it is.
        path: PathBuf,
        /// Routes left out.
        left_out: u64,
    },
}

/// The AS path of a route as it is sent.
///
/// # Errors
///
/// If the route cannot be announced.
pub fn as_path(route: &Route, own: u32) -> Result<Vec<u32>, RouteError> {
    let prefix = unicast(route.prefix)?;
    match route.as_path.first() {
        None => return Ok(vec![own]),
        Some(&first) if first != own => {
            return Err(RouteError::OwnNumberNotFirst { prefix, first, own });
        }
        Some(_) => {}
    }
    let given = route.as_path.len();
    if given > LONGEST_PATH {
        return Err(RouteError::PathTooLong { prefix, given });
    }
    if route.as_path.contains(&0) {
        return Err(RouteError::NumberZero { prefix });
    }
    Ok(route.as_path.clone())
}

fn unicast(prefix: Ipv4Net) -> Result<Ipv4Net, RouteError> {
    if prefix.network().octets()[0] >= 224 {
        return Err(RouteError::NotUnicast { prefix });
    }
    Ok(prefix.trunc())
}

/// Checks sources without reading a file.
///
/// # Errors
///
/// The first that cannot be announced.
pub fn check(sources: &[Source], own: u32) -> Result<(), SourceError> {
    for source in sources {
        if !matches!(source, Source::Mrt { .. }) {
            Loaded::new(source, own)?;
        }
    }
    Ok(())
}

/// What is said of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// It is announced.
    Announced {
        as_path: &'a [u32],
        med: Option<u32>,
    },
    /// It is withdrawn, whether or not it was announced.
    Withdrawn,
}

/// Sources of one peer, in their order.
#[derive(Debug)]
pub struct Sources {
    loaded: Vec<Loaded>,
}

impl Sources {
    /// Reads them. `own` is our AS number.
    ///
    /// # Errors
    ///
    /// The first that cannot be announced.
    pub fn load(sources: &[Source], own: u32) -> Result<Sources, SourceError> {
        let loaded = sources.iter().map(|source| Loaded::new(source, own));
        Ok(Sources {
            loaded: loaded.collect::<Result<_, _>>()?,
        })
    }

    /// The thing at a place of a source; none behind its last.
    pub(super) fn item(&self, source: usize, item: usize) -> Option<(Ipv4Net, Said<'_>)> {
        self.loaded.get(source)?.item(item)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.loaded.len()
    }

    /// Routes per second of a source.
    pub(super) fn rate_per_s(&self, source: usize) -> Option<u32> {
        match self.loaded.get(source)? {
            Loaded::Filler(filler) => filler.rate_per_s,
            _ => None,
        }
    }

    /// What the last source that names a prefix says of it.
    pub(super) fn say(&self, prefix: Ipv4Net) -> Option<Said<'_>> {
        self.loaded.iter().rev().find_map(|l| l.find(prefix))
    }

    /// Whether it is this place of this source that counts for its prefix.
    pub(super) fn counts(&self, source: usize, item: usize, prefix: Ipv4Net) -> bool {
        let later = self.loaded.get(source + 1..).unwrap_or_default();
        let again = later.iter().any(|l| l.find(prefix).is_some());
        !again && self.loaded[source].last(item, prefix)
    }
}

#[derive(Debug)]
enum Loaded {
    Listed(Listed),
    Filler(Filler),
    Mrt(Table),
}

impl Loaded {
    fn new(source: &Source, own: u32) -> Result<Loaded, SourceError> {
        Ok(match source {
            Source::Routes(routes) => {
                let said = routes.iter().map(|route| {
                    let path = as_path(route, own)?;
                    Ok((route.prefix.trunc(), Some((path, route.med))))
                });
                Loaded::Listed(Listed::new(said.collect::<Result<_, RouteError>>()?))
            }
            Source::Withdraw(prefixes) => {
                let said = prefixes.iter().map(|&prefix| Ok((unicast(prefix)?, None)));
                Loaded::Listed(Listed::new(said.collect::<Result<_, RouteError>>()?))
            }
            Source::Filler {
                first,
                count,
                rate_per_s,
            } => Loaded::Filler(Filler::new(*first, *count, *rate_per_s, own)?),
            Source::Mrt { path } => Loaded::Mrt(Table::load(path, own)?),
        })
    }

    fn item(&self, item: usize) -> Option<(Ipv4Net, Said<'_>)> {
        match self {
            Loaded::Listed(listed) => listed.item(item),
            Loaded::Filler(filler) => filler.item(item),
            Loaded::Mrt(table) => table.item(item),
        }
    }

    fn find(&self, prefix: Ipv4Net) -> Option<Said<'_>> {
        match self {
            Loaded::Listed(listed) => listed.find(prefix),
            Loaded::Filler(filler) => filler.find(prefix),
            Loaded::Mrt(table) => table.find(prefix),
        }
    }

    /// Whether the source names the prefix here for the last time.
    fn last(&self, item: usize, prefix: Ipv4Net) -> bool {
        match self {
            Loaded::Listed(listed) => listed.last.get(&prefix) == Some(&item),
            Loaded::Filler(_) | Loaded::Mrt(_) => true,
        }
    }
}

/// AS_PATH and MULTI_EXIT_DISC.
type PathAndMed = (Vec<u32>, Option<u32>);

/// Prefixes one by one.
#[derive(Debug)]
struct Listed {
    /// Withdrawn where there is no path.
    items: Vec<(Ipv4Net, Option<PathAndMed>)>,
    /// Where each prefix is named for the last time.
    last: HashMap<Ipv4Net, usize>,
}

impl Listed {
    fn new(items: Vec<(Ipv4Net, Option<PathAndMed>)>) -> Listed {
        let last = items
            .iter()
            .enumerate()
            .map(|(i, (prefix, _))| (*prefix, i));
        Listed {
            last: last.collect(),
            items,
        }
    }

    fn item(&self, item: usize) -> Option<(Ipv4Net, Said<'_>)> {
        let (prefix, route) = self.items.get(item)?;
        let said = match route {
            Some((as_path, med)) => Said::Announced { as_path, med: *med },
            None => Said::Withdrawn,
        };
        Some((*prefix, said))
    }

    fn find(&self, prefix: Ipv4Net) -> Option<Said<'_>> {
        Some(self.item(*self.last.get(&prefix)?)?.1)
    }
}

/// Consecutive prefixes of one length, our own number their path.
#[derive(Debug)]
struct Filler {
    first: u32,
    /// Binary logarithm of the addresses of a prefix.
    size: u8,
    count: u32,
    rate_per_s: Option<u32>,
    as_path: [u32; 1],
}

impl Filler {
    fn new(
        first: Ipv4Net,
        count: u32,
        rate_per_s: Option<u32>,
        own: u32,
    ) -> Result<Filler, SourceError> {
        let size = 32 - first.prefix_len();
        let begin = u64::from(u32::from(first.network()));
        let end = begin + (u64::from(count) << size);
        if count > 0 && end > u64::from(u32::from(Ipv4Addr::new(224, 0, 0, 0))) {
            return Err(SourceError::Filler { first, count });
        }
        if rate_per_s == Some(0) {
            return Err(SourceError::Rate { first });
        }
        Ok(Filler {
            first: first.network().into(),
            size,
            count,
            rate_per_s,
            as_path: [own],
        })
    }

    fn said(&self) -> Said<'_> {
        Said::Announced {
            as_path: &self.as_path,
            med: None,
        }
    }

    fn item(&self, item: usize) -> Option<(Ipv4Net, Said<'_>)> {
        let item = u32::try_from(item).ok().filter(|&item| item < self.count)?;
        // With a prefix of length 0 there is one item, and nothing to add to its address.
        let address = self.first + item.checked_shl(self.size.into()).unwrap_or(0);
        let prefix = Ipv4Net::new(address.into(), 32 - self.size).ok()?;
        Some((prefix, self.said()))
    }

    fn find(&self, prefix: Ipv4Net) -> Option<Said<'_>> {
        let distance = u32::from(prefix.network()).checked_sub(self.first)?;
        let place = distance.checked_shr(self.size.into()).unwrap_or(0);
        let named = prefix.prefix_len() == 32 - self.size && place < self.count;
        named.then(|| self.said())
    }
}
