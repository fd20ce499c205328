//! What the productions are about: names and descriptions of sequences, shots and builds.

/// What tells one production's contents from another's.
pub(super) struct Story {
    /// Where the production begins in [`SEQUENCES`].
    pub(super) first_sequence: usize,
    pub(super) who: [&'static str; 6],
    pub(super) builds: [Build; 12],
}

/// Name, type and description of something that shots are built from.
type Build = (&'static str, &'static str, &'static str);

/// A film about a lighthouse, and a series about a courier in the mountains.
pub(super) static STORIES: [Story; 2] = [
    Story {
        first_sequence: 0,
        who: [
            "Mara",
            "The keeper",
            "The automaton",
            "Captain Ives",
            "The crowd",
            "The diver",
        ],
        builds: [
            (
                "mara",
                "Character",
                "Lighthouse keeper, thirty-four, yellow raincoat.",
            ),
            (
                "automaton",
                "Character",
                "Brass diver, two metres, barnacles up to the knees.",
            ),
            (
                "captain_ives",
                "Character",
                "Retired captain, never seen without the pipe.",
            ),
            (
                "gull",
                "Character",
                "Hero gull and six variations for the flock.",
            ),
            (
                "lantern",
                "Prop",
                "Storm lantern with practical flame and cracked glass.",
            ),
            (
                "rowing_boat",
                "Prop",
                "Clinker-built, three states of damage.",
            ),
            (
                "pocket_watch",
                "Prop",
                "Seen close up: all engraving is geometry.",
            ),
            (
                "diving_bell",
                "Prop",
                "Interior and exterior; the door animates.",
            ),
            (
                "harbor",
                "Environment",
                "Pier, market and warehouses at low and high tide.",
            ),
            (
                "lighthouse",
                "Environment",
                "Stairwell, lamp room and gallery.",
            ),
            (
                "engine_room",
                "Environment",
                "Boilers, catwalk, forty pressure gauges.",
            ),
            (
                "bay_sky",
                "Matte Painting",
                "Storm front over the bay, day and night.",
            ),
        ],
    },
    Story {
        first_sequence: 10,
        who: [
            "Elsa",
            "The owl",
            "The postmaster",
            "Old Bruno",
            "The twins",
            "A stranger",
        ],
        builds: [
            (
                "elsa",
                "Character",
                "Night courier, nineteen, patched flight jacket.",
            ),
            (
                "owl",
                "Character",
                "Snowy owl; feathers to camera in eleven shots.",
            ),
            (
                "postmaster",
                "Character",
                "Tall, stooped, ink on both sleeves.",
            ),
            (
                "bruno",
                "Character",
                "Saint Bernard, fifteen years old and proud of it.",
            ),
            (
                "sled",
                "Prop",
                "Wooden sled with brass runners, clean and iced.",
            ),
            (
                "mailbag",
                "Prop",
                "Leather bag: cloth simulation and a rigid stand-in.",
            ),
            ("parcel", "Prop", "The parcel. Nobody ever sees inside."),
            (
                "glider",
                "Prop",
                "Folding glider, opens in twenty-two frames.",
            ),
            (
                "post_office",
                "Environment",
                "Counter, sorting room and attic.",
            ),
            (
                "night_train",
                "Environment",
                "Three carriages with removable walls.",
            ),
            (
                "clock_tower",
                "Environment",
                "Works, stairs and the outer ledge.",
            ),
            (
                "peaks",
                "Matte Painting",
                "Ridge line at dusk, clear and in snowfall.",
            ),
        ],
    },
];

/// Code and title.
pub(super) const SEQUENCES: [(&str, &str); 20] = [
    ("hrb", "Dawn at the harbor"),
    ("lgt", "The lighthouse wakes"),
    ("stm", "Storm over the bay"),
    ("mkt", "Chase through the fish market"),
    ("wrk", "The wreck below"),
    ("eye", "The automaton opens its eyes"),
    ("brg", "Crossing the iron bridge"),
    ("frg", "In the forge"),
    ("cav", "The sea cave"),
    ("hom", "Homecoming"),
    ("trn", "The night train"),
    ("snw", "First snow"),
    ("gdn", "The glass garden"),
    ("arc", "The archive burns"),
    ("clk", "Inside the clock tower"),
    ("ice", "Thin ice"),
    ("fly", "Maiden flight"),
    ("rft", "Across the rooftops"),
    ("fog", "Lost in the fog"),
    ("fin", "The last letter"),
];

pub(super) const EPISODES: [&str; 4] = [
    "The courier",
    "Snowbound",
    "What the owl knew",
    "The last letter",
];

/// What somebody does in a shot.
pub(super) const DOES: [&str; 8] = [
    "runs along the wall",
    "stops and looks back",
    "lifts the lantern",
    "vanishes into the fog",
    "steps into the light",
    "watches the horizon",
    "climbs the stairs",
    "turns towards us",
];

/// How the camera sees it.
pub(super) const HOW: [&str; 8] = [
    "the storm breaks behind",
    "bells ring off screen",
    "wide, slow push in",
    "hand-held, close on the eyes",
    "crane up to reveal the town",
    "match cut to the engine",
    "silhouette against the sunrise",
    "drops on the lens",
];

/// Name, full name and colour of the productions that every studio has.
pub(super) const PRODUCTIONS: [(&str, &str, &str); 2] = [
    ("copper_harbor", "Copper Harbor", "#B87333"),
    ("nightjar", "Nightjar", "#2E4057"),
];

/// Further productions are called by a word of each table.
pub(super) const ADJECTIVES: [&str; 10] = [
    "Silver", "Quiet", "Paper", "Hollow", "Northern", "Amber", "Second", "Lost", "Velvet", "Iron",
];
pub(super) const NOUNS: [&str; 10] = [
    "Orchard", "Comet", "Tide", "Lantern", "Garden", "Signal", "Summit", "Harvest", "Echo", "Mile",
];
