"""The vocabulary of the generated domains: common English nouns by kind, and variable names.

A noun is listed under the one kind that it plainly is. Left out are words of two kinds (orange,
chicken, crane, bass, olive, tie) and those that the examples show: `ant`, `plum`, `q` and `y`.
"""

OWNERS = ("my", "your", "his", "her", "our", "their", "the", "this", "Bob's", "Ann's")

ADJECTIVES = (
    *("old", "new", "nice", "plain", "strange", "favorite"),
    *("lovely", "fine", "great", "simple", "usual", "other"),
)
"""Fit every kind, colors included."""

NOUNS: dict[str, tuple[str, ...]] = {
    "animal": (
        *("dog", "cat", "horse", "cow", "pig", "sheep", "goat", "mouse", "rabbit", "lion"),
        *("tiger", "bear", "wolf", "fox", "deer", "monkey", "elephant", "giraffe", "zebra"),
        *("camel", "donkey", "kangaroo", "koala", "panda", "squirrel", "hamster", "rat"),
        *("frog", "toad", "snake", "lizard", "turtle", "crocodile", "shark", "whale"),
        *("dolphin", "eagle", "owl", "parrot", "penguin", "sparrow", "pigeon", "spider"),
        *("beetle", "butterfly", "moth", "wasp", "hedgehog", "otter", "leopard", "gorilla"),
        *("rhino", "ostrich", "raccoon", "badger", "moose", "llama", "lynx", "hyena"),
    ),
    "food": (
        *("apple", "banana", "pear", "grape", "lemon", "mango", "melon", "strawberry"),
        *("potato", "tomato", "carrot", "onion", "cabbage", "spinach", "lettuce", "cucumber"),
        *("bread", "cheese", "butter", "yogurt", "rice", "pasta", "spaghetti", "noodle"),
        *("pizza", "burger", "sandwich", "soup", "salad", "stew", "omelet", "pancake"),
        *("waffle", "cake", "cookie", "muffin", "donut", "pie", "pudding", "candy"),
        *("sausage", "bacon", "steak", "meatball", "ham", "burrito", "taco", "dumpling"),
        *("honey", "cereal", "biscuit", "bagel", "pretzel", "popcorn", "lasagna", "garlic"),
        *("broccoli", "pineapple", "raspberry", "walnut", "peanut", "almond", "croissant"),
    ),
    "vehicle": (
        *("car", "truck", "bus", "van", "taxi", "train", "tram", "bicycle", "motorcycle"),
        *("scooter", "airplane", "helicopter", "boat", "ship", "ferry", "yacht", "canoe"),
        *("kayak", "submarine", "tractor", "ambulance", "limousine", "jeep", "minivan"),
        *("wagon", "carriage", "cart", "sled", "sleigh", "tricycle", "moped", "bulldozer"),
        *("rocket", "spaceship", "glider", "raft", "sailboat", "speedboat", "trolley"),
        *("locomotive", "lorry", "sedan", "convertible", "motorbike", "rickshaw"),
        *("hovercraft", "gondola", "airship", "tanker", "steamboat", "rowboat", "zeppelin"),
    ),
    "tool": (
        *("hammer", "saw", "screwdriver", "wrench", "drill", "shovel", "rake", "axe"),
        *("chisel", "pliers", "hoe", "spade", "pickaxe", "crowbar", "mallet", "hatchet"),
        *("chainsaw", "sander", "sickle", "scythe", "trowel", "wheelbarrow", "ladder"),
        *("scissors", "tweezers", "toolbox", "toolkit", "anvil", "clamp"),
        *("pitchfork", "grinder", "lathe", "hacksaw", "handsaw", "spanner", "jackhammer"),
        *("machete", "cutter", "stapler", "pulley", "plunger", "caliper", "sledgehammer"),
        *("paintbrush", "shears", "pincers", "whetstone"),
    ),
    "clothing": (
        *("shirt", "jacket", "dress", "skirt", "coat", "sweater", "hat", "glove", "scarf"),
        *("sock", "shoe", "boot", "sandal", "jeans", "pants", "shorts", "blouse", "hoodie"),
        *("vest", "suit", "uniform", "raincoat", "pajamas", "underwear", "cardigan"),
        *("trousers", "leggings", "slipper", "sneaker", "mitten", "beanie", "bonnet"),
        *("apron", "kimono", "robe", "tuxedo", "gown", "swimsuit", "bikini", "poncho"),
        *("blazer", "stocking", "turban", "overalls", "tunic", "shawl", "cloak", "corset"),
        *("bathrobe", "overcoat", "pullover", "sweatshirt", "bra", "sombrero", "toga"),
    ),
    "instrument": (
        *("piano", "guitar", "violin", "cello", "flute", "clarinet", "trumpet", "trombone"),
        *("tuba", "saxophone", "oboe", "bassoon", "harp", "banjo", "mandolin", "ukulele"),
        *("accordion", "harmonica", "drum", "xylophone", "harpsichord", "lute", "lyre"),
        *("sitar", "viola", "piccolo", "bugle", "bagpipe", "tambourine", "cymbal", "gong"),
        *("marimba", "bongo", "fiddle", "synthesizer", "kazoo", "zither", "castanet"),
        *("glockenspiel", "maraca", "didgeridoo", "timpani"),
    ),
    "color": (
        *("red", "blue", "green", "yellow", "purple", "pink", "brown", "black", "white"),
        *("gray", "beige", "crimson", "scarlet", "turquoise", "magenta", "cyan", "indigo"),
        *("maroon", "teal", "azure", "mauve", "burgundy", "fuchsia", "lilac", "violet"),
        *("vermilion", "ochre", "taupe", "aqua", "sepia", "cerulean", "aquamarine"),
        *("chartreuse", "ultramarine", "tan"),
    ),
}

LISTS = (
    *("xs", "nums", "data", "items", "ages", "marks", "scores", "prices", "values", "points"),
    *("grades", "numbers", "rows", "sizes", "counts", "heights", "weights", "costs", "temps"),
    *("days", "votes", "sales", "goals", "steps", "lengths", "amounts", "totals", "ranks"),
    *("levels", "results", "records", "bills", "orders", "distances", "speeds", "years"),
    *("tasks", "codes", "hours", "minutes", "parts", "samples", "digits", "bins", "units"),
    *("books", "cards", "coins", "seats", "tests", "masses", "rates", "taxes", "ratings"),
    *("readings", "measures", "visits", "doses", "fees", "loads"),
)

STRINGS = (
    *("name", "word", "text", "title", "city", "s", "label", "line", "message", "country"),
    *("street", "letter", "sentence", "phrase", "user", "email", "animal", "fruit", "brand"),
    *("code", "note", "tag", "author", "subject", "comment", "state", "planet", "language"),
    *("song", "poem", "verse", "token", "path", "slogan", "motto", "nickname", "greeting"),
    *("answer", "address", "password"),
)

NUMBERS = (
    *("x", "n", "a", "b", "k", "m", "age", "price", "count", "total", "score", "width"),
    *("height", "weight", "speed", "year", "day", "hour", "size", "cost", "distance", "area"),
    *("salary", "level", "depth", "time", "rate", "amount", "limit", "balance", "budget"),
    *("temperature", "volume", "quantity", "rank", "tax", "debt", "radius", "mass", "income"),
)
