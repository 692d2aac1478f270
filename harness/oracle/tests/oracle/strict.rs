//! The profile `strict` covers every other one.

use crate::random::{Case, case, ports, settled};
use netproof_model::{Family, Place, Protocol};
use netproof_oracle::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What is settled in `strict` is so in every profile, and no profile that settles all leaves anything open.
fn is_covered(case: &Case, profile: Profile) -> Result<(), TestCaseError> {
    let snapshot = case.snapshot();
    let (strict, settled) = (Oracle::new(&snapshot, Profile::STRICT), Oracle::new(&snapshot, profile));
    let nodes = snapshot.nodes.keys().map(|name| Place::Node(name.clone()));
    let pods = snapshot.pods.iter().filter(|(_, pod)| !pod.host_network);
    let endpoints: Vec<Place> = nodes.chain(pods.map(|(name, _)| Place::Pod(name.clone()))).collect();
    let mut destinations: Vec<_> =
        endpoints.iter().map(|place| snapshot.address_of(place, Family::Ipv4).unwrap()).collect();
    destinations.extend(snapshot.services.values().map(|service| service.cluster_ips[0]));
    let mut ports = ports();
    ports.push(PortProtocol::new(30080, Protocol::Tcp));
    for from in endpoints {
        for to in &destinations {
            for port in &ports {
                let flow = Flow { from: from.clone(), to: *to, port: *port };
                let (open, settled) = (strict.predict(&flow).unwrap(), settled.predict(&flow).unwrap());
                prop_assert_eq!(open.alternatives.len(), settled.alternatives.len());
                for (open, settled) in open.alternatives.iter().zip(&settled.alternatives) {
                    match (&open.verdict, &settled.verdict) {
                        (_, Verdict::Either(switches)) => prop_assert!(false, "{flow:?}: {switches} is open"),
                        (
                            Verdict::Either(_),
                            Verdict::Allow | Verdict::NoAnswer { .. } | Verdict::Deny(_),
                        ) => {}
                        (
                            Verdict::Deny(_) | Verdict::Unreachable,
                            Verdict::Deny(PredictedDenial::Policy { .. }),
                        ) => {}
                        (open, settled) => prop_assert_eq!(open, settled, "{:?}", flow),
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn strict_covers_every_profile(case in case(), profile in settled()) {
        is_covered(&case, profile)?;
    }
}
