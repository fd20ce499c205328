//! What goes wrong.

use std::time::Duration;

use ftrack_emulator::faults::Fault as Failure;

use crate::operations::Stage;
use crate::support::proxy::{Break, Harm, Way};

pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) arm: fn(&mut Stage<'_>),
    /// Whether the session waits for nothing, so that its time limit should be short.
    pub(crate) is_waited_out: bool,
    /// Whether the server gets the whole request, and may be at work on it still.
    pub(crate) reaches_server: bool,
}

const fn fault(name: &'static str, arm: fn(&mut Stage<'_>)) -> Fault {
    Fault {
        name,
        arm,
        is_waited_out: false,
        reaches_server: false,
    }
}

impl Fault {
    const fn waited_out(mut self) -> Self {
        self.is_waited_out = true;
        self
    }

    const fn reaching(mut self) -> Self {
        self.reaches_server = true;
        self
    }
}

/// More than any operation tries.
const MAX_ATTEMPTS: usize = 40;

/// Far enough into a request or a response to be past the first words, and short of its end.
const BYTES_BEFORE: usize = 60;

fn to_server(stage: &mut Stage<'_>, after: usize, harm: Harm) {
    stage.push(Break::new(Way::ToServer, after, harm));
}

fn to_client(stage: &mut Stage<'_>, after: usize, harm: Harm) {
    stage.push(Break::new(Way::ToClient, after, harm));
}

pub(crate) const FAULTS: &[Fault] = &[
    fault("nothing", |_| {}).reaching(),
    fault("idle connections were closed", |stage| {
        stage.proxy.hang_up();
    })
    .reaching(),
    fault("nothing listens", |stage| stage.proxy.stop()),
    fault("reset before the request", |stage| {
        to_server(stage, 0, Harm::Reset);
    }),
    fault("cut within the request", |stage| {
        to_server(stage, BYTES_BEFORE, Harm::Cut);
    }),
    fault("half-closed within the request", |stage| {
        to_server(stage, BYTES_BEFORE, Harm::HalfClose);
    }),
    fault("request never arrives", |stage| {
        to_server(stage, BYTES_BEFORE, Harm::Stall);
    })
    .waited_out(),
    fault("cut instead of the response", |stage| {
        to_client(stage, 0, Harm::Cut);
    })
    .reaching(),
    fault("reset instead of the response", |stage| {
        to_client(stage, 0, Harm::Reset);
    })
    .reaching(),
    fault("cut within the response", |stage| {
        to_client(stage, BYTES_BEFORE, Harm::Cut);
    })
    .reaching(),
    fault("half-closed within the response", |stage| {
        to_client(stage, BYTES_BEFORE, Harm::HalfClose);
    })
    .reaching(),
    fault("response never arrives", |stage| {
        to_client(stage, 0, Harm::Stall);
    })
    .waited_out()
    .reaching(),
    fault("response is late", |stage| {
        to_client(stage, 0, Harm::Delay(Duration::from_millis(50)));
    })
    .reaching(),
    fault("a bit of the response is flipped", |stage| {
        to_client(stage, 0, Harm::Corrupt);
    })
    .reaching(),
    fault("no response, again and again", |stage| {
        for _ in 0..MAX_ATTEMPTS {
            to_client(stage, 0, Harm::Cut);
        }
    })
    .reaching(),
    fault("half of the response's body", |stage| {
        stage.fail(Failure::truncated());
    })
    .reaching(),
    fault("502 of a gateway", |stage| {
        stage.fail(Failure::bad_gateway());
    }),
    fault("503, try later", |stage| {
        stage.fail(Failure::unavailable(0));
    }),
    fault("429, too many", |stage| {
        stage.fail(Failure::too_many_requests(0));
    }),
    fault("500 of the server", |stage| {
        stage.fail(Failure::server_error());
    }),
    fault("503, again and again", |stage| {
        stage.fail(Failure::unavailable(0).times(40));
    }),
];
