//! The IPv4 unicast routes of an MRT file (RFC 6396).
//!
//! *Assumes* TABLE_DUMP, TABLE_DUMP_V2 or BGP4MP, plain or compressed. *Guarantees* of several
//! routes to a prefix the first that can be announced, in some 16 octets a route; and that a file
//! which cannot be read to its end is refused, since what it lacks would not be seen.

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bgpkit_parser::BgpkitParser;
use bgpkit_parser::models::{AsPath, ElemType};
use bgpkit_parser::parser::ParserError;
use ipnet::{IpNet, Ipv4Net};

use super::{Said, SourceError, unicast};
use crate::speaker::update::LONGEST_PATH;

/// A table of routes.
#[derive(Debug)]
pub(super) struct Table {
    /// Prefixes in ascending order, each with the place of its path.
    routes: Vec<(Ipv4Net, u32)>,
    /// Places of the routes, those with the same path together: they share messages.
    order: Vec<u32>,
    paths: Vec<Box<[u32]>>,
}

impl Table {
    /// Reads a file. `own` goes before each path.
    pub(super) fn load(path: &Path, own: u32) -> Result<Table, SourceError> {
        let file = |source| SourceError::File {
            path: path.to_owned(),
            source,
        };
        let reader = decompressed(File::open(path).map_err(file)?).map_err(file)?;
        let mut routes = BTreeMap::new();
        let mut paths = Paths::default();
        let mut left_out = 0;
        let parser = BgpkitParser::from_reader(reader).disable_warnings();
        for (read, route) in parser.into_fallible_route_iter().enumerate() {
            let route = match route.map_err(|e| e.error) {
                Ok(route) => route,
                // Record types that have no routes.
                Err(ParserError::Unsupported(_)) => continue,
                Err(error) => {
                    return Err(SourceError::NotMrt {
                        path: path.to_owned(),
                        routes: read,
                        reason: error.to_string(),
                    });
                }
            };
            let IpNet::V4(prefix) = route.prefix.prefix else {
                continue;
            };
            if route.elem_type != ElemType::ANNOUNCE || unicast(prefix).is_err() {
                continue;
            }
            let Entry::Vacant(vacant) = routes.entry(prefix.trunc()) else {
                continue;
            };
            match route.as_path.as_deref().and_then(|p| sequence(own, p)) {
                Some(path) => {
                    vacant.insert(paths.place(path));
                }
                None => left_out += 1,
            }
        }
        if routes.is_empty() {
            return Err(SourceError::NoRoute {
                path: path.to_owned(),
                left_out,
            });
        }
        if left_out > 0 {
            tracing::warn!(
                "{}: {left_out} routes whose AS path has a set or more than {LONGEST_PATH} numbers \
                 are left out",
                path.display()
            );
        }
        Ok(Table::new(routes.into_iter().collect(), paths.paths))
    }

    #[allow(clippy::cast_possible_truncation)] // There are fewer than 2^32 IPv4 prefixes in use.
    fn new(routes: Vec<(Ipv4Net, u32)>, paths: Vec<Box<[u32]>>) -> Table {
        let mut order: Vec<u32> = (0..routes.len() as u32).collect();
        order.sort_by_key(|&place| routes[place as usize].1);
        Table {
            routes,
            order,
            paths,
        }
    }

    pub(super) fn item(&self, item: usize) -> Option<(Ipv4Net, Said<'_>)> {
        let (prefix, path) = self.routes[*self.order.get(item)? as usize];
        Some((prefix, self.said(path)))
    }

    pub(super) fn find(&self, prefix: Ipv4Net) -> Option<Said<'_>> {
        let found = self.routes.binary_search_by_key(&prefix, |(p, _)| *p);
        Some(self.said(self.routes[found.ok()?].1))
    }

    fn said(&self, path: u32) -> Said<'_> {
        Said::Announced {
            as_path: &self.paths[path as usize],
            // RFC 4271, section 5.1.4: that of another AS is not passed on.
            med: None,
        }
    }
}

/// Paths, each kept once.
#[derive(Default)]
struct Paths {
    places: HashMap<Box<[u32]>, u32>,
    paths: Vec<Box<[u32]>>,
}

impl Paths {
    #[allow(clippy::cast_possible_truncation)] // No more than there are prefixes.
    fn place(&mut self, path: Vec<u32>) -> u32 {
        let path = path.into_boxed_slice();
        if let Some(&place) = self.places.get(&path) {
            return place;
        }
        let place = self.paths.len() as u32;
        self.paths.push(path.clone());
        self.places.insert(path, place);
        place
    }
}

/// A path after our own number; none if it is no plain sequence (RFC 9774 bans sets), or too long.
fn sequence(own: u32, path: &AsPath) -> Option<Vec<u32>> {
    let tail = path.to_u32_vec_opt(false)?;
    let sendable = tail.len() < LONGEST_PATH && !tail.contains(&0);
    sendable.then(|| std::iter::once(own).chain(tail).collect())
}

/// What a file holds, which its first octets tell.
fn decompressed(file: File) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    Ok(match reader.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(reader))),
        [b'B', b'Z', b'h', ..] => {
            Box::new(BufReader::new(bzip2::bufread::MultiBzDecoder::new(reader)))
        }
        _ => Box::new(reader),
    })
}
