//! A stranger among the engines of a set: it hears the votes and says them again with one bit changed, so that most of
//! them are whole messages with a signature that is wrong; and now and then something too long to be one.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, TopicHash};
use libp2p::multiaddr::{Multiaddr, Protocol};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Swarm, SwarmBuilder, identify, noise, tcp, yamux};

/// Topics and version of the engines' network, as the engine's library names them.
const TOPICS: [&str; 3] = ["/consensus", "/proposal_parts", "/liveness"];
const VERSION: &str = "/malachitebft-core-consensus/v1beta1";
/// Between two volleys.
const PAUSE: Duration = Duration::from_millis(50);
/// Messages of a volley.
const VOLLEY: u64 = 20;
/// Messages kept to be said again.
const HEARD_MAX: usize = 64;
/// One message in so many is too long.
const LONG_EVERY: u64 = 200;
/// Longer than a vote may be, and shorter than what ends a connection here.
const LONG_BYTES: usize = 1 << 20;
const BYTES_MAX: usize = 8 << 20;

#[derive(NetworkBehaviour)]
struct Voice {
    mesh: gossipsub::Behaviour,
    identify: identify::Behaviour,
}

fn swarm() -> Swarm<Voice> {
    let swarm = SwarmBuilder::with_new_identity().with_tokio();
    let tcp = tcp::Config::default().nodelay(true);
    let swarm = swarm.with_tcp(tcp, noise::Config::new, yamux::Config::default);
    let swarm = swarm.expect("a transport").with_behaviour(|key| {
        let config = gossipsub::ConfigBuilder::default()
            .max_transmit_size(BYTES_MAX)
            .build()
            .expect("a configuration");
        let authenticity = MessageAuthenticity::Signed(key.clone());
        let mut mesh = gossipsub::Behaviour::new(authenticity, config).expect("a mesh");
        for topic in TOPICS {
            mesh.subscribe(&IdentTopic::new(topic)).expect("a topic");
        }
        let identify = identify::Config::new(VERSION.to_owned(), key.public());
        Voice {
            mesh,
            identify: identify::Behaviour::new(identify),
        }
    });
    let swarm = swarm.expect("a behaviour");
    swarm
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build()
}

/// Heckles the engines at these addresses; counts what it said to anybody.
pub(crate) async fn heckle(engines: Vec<SocketAddr>, said: Arc<AtomicU64>) {
    let mut swarm = swarm();
    let mut heard: VecDeque<(TopicHash, Vec<u8>)> = VecDeque::new();
    let mut ticks = tokio::time::interval(PAUSE);
    let mut salt = 0_u64;
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                if let SwarmEvent::Behaviour(VoiceEvent::Mesh(gossipsub::Event::Message { message, .. })) = event {
                    if heard.len() >= HEARD_MAX {
                        heard.pop_front();
                    }
                    heard.push_back((message.topic, message.data));
                }
            }
            _ = ticks.tick() => {
                if swarm.connected_peers().count() < engines.len() {
                    for engine in &engines {
                        let address = Multiaddr::from(Ipv4Addr::LOCALHOST).with(Protocol::Tcp(engine.port()));
                        let _ = swarm.dial(address); // met already, or not there
                    }
                }
                for _ in 0..VOLLEY {
                    let Some((topic, mut data)) = heard.pop_front() else {
                        break;
                    };
                    salt += 1;
                    heard.push_back((topic.clone(), data.clone()));
                    let place = usize::try_from(salt * 31).expect("small") % data.len().max(1);
                    if let Some(byte) = data.iter_mut().nth_back(place) {
                        *byte ^= 1;
                    }
                    if salt.is_multiple_of(LONG_EVERY) {
                        data.resize(LONG_BYTES, 0xa5);
                    }
                    let is_said = swarm.behaviour_mut().mesh.publish(topic, data).is_ok();
                    said.fetch_add(u64::from(is_said), Ordering::Relaxed);
                }
            }
        }
    }
}
