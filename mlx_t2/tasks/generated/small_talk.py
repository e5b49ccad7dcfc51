"""Everyday chat requests, outside the three domains, so that a router can learn `other`.

One request: `What is the capital of Peru?`. Written from topics and wordings; each split has
its own topics and its own wordings, so a test request shares neither with training. They are
not graded: the answer is empty.

Does not know the three domains.
"""

from random import Random

from ..task import SPLITS, Problem, Question, ask, check_count, check_split

_TOPICS: dict[str, tuple[str, ...]] = {
    "capital": (
        *("France", "Peru", "Japan", "Kenya", "Norway", "Brazil", "Egypt", "Canada", "Poland"),
        *("Vietnam", "Chile", "Ghana", "Turkey", "Greece", "Nepal", "Cuba", "Iran", "Austria"),
        *("Mexico", "Morocco", "Ireland", "Thailand", "Portugal", "Jordan", "Iceland", "Spain"),
    ),
    "recipe": (
        *("pancakes", "tomato soup", "chicken curry", "apple pie", "fried rice", "a salad"),
        *("lentil stew", "banana bread", "an omelette", "pizza dough", "hummus", "sushi"),
        *("beef tacos", "lemonade", "garlic bread", "chocolate cake", "risotto", "porridge"),
        *("vegetable lasagna", "guacamole", "potato salad", "ramen", "cinnamon rolls"),
    ),
    "explanation": (
        *("photosynthesis", "gravity", "inflation", "the water cycle", "black holes", "DNA"),
        *("vaccines", "earthquakes", "rainbows", "democracy", "electricity", "evolution"),
        *("the stock market", "tides", "the immune system", "magnetism", "plate tectonics"),
        *("nuclear fusion", "the greenhouse effect", "supply and demand", "hibernation"),
    ),
    "advice": (
        *("sleep better", "save money", "learn to swim", "make new friends", "stop worrying"),
        *("prepare for an interview", "train for a marathon", "keep houseplants alive"),
        *("get over a cold", "move to a new city", "wake up early", "quit smoking"),
        *("deal with a loud neighbor", "plan a wedding", "choose a laptop", "study for exams"),
        *(
            "ask for a raise",
            "stay focused",
            "start a garden",
            "adopt a dog",
            "pack for a trip",
        ),
    ),
    "story": (
        *("a lonely lighthouse", "a dragon who is afraid of fire", "two brothers", "the moon"),
        *("a lost kitten", "a pirate queen", "a robot gardener", "a haunted library", "winter"),
        *("a talking tree", "the last train home", "a brave little mouse", "an old sailor"),
        *("a secret door", "a village by the sea", "a clumsy wizard", "a broken clock"),
        *("friendship", "the stars", "a rainy Sunday", "a fox in the city"),
    ),
    "translation": (
        *("good morning", "thank you very much", "where is the station", "I love you"),
        *("how much does it cost", "see you tomorrow", "happy birthday", "I am hungry"),
        *("the weather is nice today", "my name is Anna", "can you help me", "good night"),
        *("I would like a coffee", "have a safe journey", "what time is it", "I am sorry"),
        *("the book is on the table", "we are on holiday", "nice to meet you", "I am lost"),
    ),
    "history": (
        *("the French Revolution", "the Roman Empire", "the Cold War", "the moon landing"),
        *("the Black Death", "the Renaissance", "the fall of the Berlin Wall", "the Silk Road"),
        *("the Industrial Revolution", "the First World War", "ancient Egypt", "the Vikings"),
        *("the printing press", "the Great Depression", "the Ottoman Empire", "the Aztecs"),
        *("the Boston Tea Party", "the Great Fire of London", "the Magna Carta", "the Mongols"),
    ),
    "person": (
        *("Marie Curie", "Albert Einstein", "Frida Kahlo", "Nelson Mandela", "Cleopatra"),
        *("William Shakespeare", "Ada Lovelace", "Mahatma Gandhi", "Leonardo da Vinci"),
        *("Amelia Earhart", "Isaac Newton", "Rosa Parks", "Charles Darwin", "Jane Austen"),
        *("Mozart", "Florence Nightingale", "Galileo Galilei", "Joan of Arc", "Confucius"),
    ),
    "place": (
        *("Rome", "Tokyo", "New York", "Istanbul", "Lisbon", "Cairo", "Berlin", "Bangkok"),
        *("Sydney", "Prague", "Vienna", "Barcelona", "Edinburgh", "Marrakesh", "Amsterdam"),
        *("Mumbai", "Toronto", "Dublin", "Budapest", "Singapore", "Athens", "Helsinki"),
    ),
    "opinion": (
        *("reading novels", "working from home", "living in the countryside", "chess"),
        *("electric cars", "social media", "cooking at home", "learning Latin", "yoga"),
        *("public transport", "keeping a diary", "camping", "jazz", "vegetarian food"),
        *("video games", "homeschooling", "running", "early retirement", "online courses"),
    ),
    "letter": (
        *("my landlord", "a former teacher", "my grandmother", "a hotel", "the city council"),
        *("a new colleague", "my boss", "a customer", "my best friend", "an airline"),
        *("the school principal", "a neighbor", "my doctor", "a book club", "a job applicant"),
    ),
    "greeting": (
        *("Hello", "Hi there", "Good morning", "Hey", "Good evening", "Greetings", "Hi"),
        *(
            "Thanks",
            "Good afternoon",
            "Thank you",
            "Hello again",
            "Well done",
            "Goodbye",
            "Bye",
        ),
    ),
    "program": (
        *("adds two numbers", "sorts a list of names", "counts the words of a text"),
        *("downloads a web page", "finds prime numbers", "reverses a string", "plays chess"),
        *("reads a CSV file", "draws a circle", "checks a password", "computes an average"),
        *("removes duplicates from a list", "sends an email", "prints a calendar"),
        *("converts miles to kilometers", "searches a text for a word", "rolls a die"),
    ),
}

_WORDINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "capital": (
        ("What is the capital of {}?", "Tell me the capital city of {}.", "Where is {}?"),
        (
            "Which city is the seat of government of {}?",
            "What language is spoken in {}?",
            "Is {} a large country?",
        ),
        (
            "Name the capital of {}, please.",
            "How many people live in {}?",
            "What is {} known for?",
        ),
    ),
    "recipe": (
        ("How do I make {}?", "Give me a simple recipe for {}.", "What goes into {}?"),
        (
            "I want to cook {} tonight. What do I need?",
            "How long does it take to make {}?",
            "What do you drink with {}?",
        ),
        ("Can you teach me to prepare {}?", "What can I serve with {}?", "Who invented {}?"),
    ),
    "explanation": (
        ("Explain {} in simple words.", "What do we know about {}?", "Why does {} matter?"),
        (
            "Can you tell a child about {}?",
            "Give me a short introduction to {}.",
            "Where do I come across {} in daily life?",
        ),
        (
            "Help me understand {}.",
            "I have never understood {}. What is it about?",
            "What are common mistakes about {}?",
        ),
    ),
    "advice": (
        ("How can I {}?", "Give me three tips to {}.", "What is the best way to {}?"),
        (
            "I would like to {}. Where do I start?",
            "Is it hard to {}?",
            "What do I need to know before I {}?",
        ),
        (
            "My friend wants to {}. What would you advise?",
            "I need help to {}.",
            "Why do people find it difficult to {}?",
        ),
    ),
    "story": (
        ("Write a short story about {}.", "Write a poem about {}.", "Draw me a picture of {}."),
        (
            "Make up a bedtime tale with {} in it.",
            "Invent a title for a book about {}.",
            "Suggest a film about {}.",
        ),
        (
            "Compose a few verses about {}.",
            "Begin a novel about {}.",
            "Write the lyrics of a song about {}.",
        ),
    ),
    "translation": (
        ('Translate "{}" into French.', 'How do you say "{}" in Spanish?'),
        (
            'What is "{}" in German?',
            'Give me the Italian for "{}".',
            'I am learning Dutch. What is "{}"?',
        ),
        (
            'Please put "{}" into Portuguese.',
            'How would a Swede say "{}"?',
            'Say "{}" in Polish and in Turkish.',
        ),
    ),
    "history": (
        ("Tell me about {}.", "Why was {} important?", "When was {}?"),
        (
            "Give me a summary of {}.",
            "What should everyone know about {}?",
            "Which books about {} are worth reading?",
        ),
        (
            "Describe the causes and effects of {}.",
            "Who played a part in {}?",
            "How long ago was {}?",
        ),
    ),
    "person": (
        ("Who was {}?", "What is {} famous for?", "Where was {} born?"),
        ("Write a short biography of {}.", "What did {} achieve?", "When did {} live?"),
        (
            "Tell me something surprising about {}.",
            "Why do we remember {}?",
            "What would {} say about the world today?",
        ),
    ),
    "place": (
        ("What should I see in {}?", "Plan a weekend in {}.", "How is the weather in {}?"),
        (
            "What is the best season to visit {}?",
            "Where can I eat well in {}?",
            "How do I get to {} by train?",
        ),
        (
            "I have one day in {}. Any suggestions?",
            "Is {} a good place to live?",
            "What do people from {} like to do?",
        ),
    ),
    "opinion": (
        ("What do you think about {}?", "What are the pros and cons of {}?", "Why try {}?"),
        ("Do you recommend {}?", "Convince me of {}.", "Is {} getting more popular?"),
        ("Argue against {}.", "Is {} worth the effort?", "What would life be without {}?"),
    ),
    "letter": (
        ("Write an email to {} to say thank you.", "Draft a letter of complaint to {}."),
        (
            "Help me write an apology to {}.",
            "How do I begin a message to {}?",
            "Write a short note to {} to ask for help.",
        ),
        (
            "Write an invitation to {}.",
            "What do I write on a card for {}?",
            "Proofread my letter to {}.",
        ),
    ),
    "greeting": (
        ("{}!", "{}", "{}, how are you?", "{}, can you help me?", "{}, what can you do?"),
        ("{}, who are you?", "{}, tell me a joke.", "{}, do you have a name?"),
        (
            "{}, nice to meet you.",
            "{}, I am bored.",
            "{}, are you human?",
            "{}, what day is it?",
        ),
    ),
    "program": (
        (
            "Write a Python function that {}.",
            "Write a program that {}.",
            "Can you code a script that {}?",
        ),
        ("Show me JavaScript code that {}.", "I need a class that {}."),
        ("Give me a complete Python program that {}.", "How would I write a tool that {}?"),
    ),
}
"""By kind: the wordings of the training, validation and test splits."""

_SPLIT_IN_TURN = ("train", "validation", "train", "test")
"""The splits of a kind's topics, repeated."""


def other_questions(split: str, n: int, seed: int = 0) -> list[Problem]:
    """The first n requests of the split in the order given by the seed.

    Raises: TaskDataError when the split is unknown or has fewer.
    """
    check_split("other", split)
    problems = _requests(split)
    check_count("other", split, n, len(problems))
    Random(f"other/{split}/{seed}").shuffle(problems)
    return problems[:n]


def count_other(split: str) -> int:
    """How many requests the split has."""
    return len(_requests(split))


def _requests(split: str) -> list[Problem]:
    texts = [
        (kind, wording.format(topic))
        for kind, wordings in _WORDINGS.items()
        for topic in _TOPICS[kind]
        if _SPLIT_IN_TURN[_TOPICS[kind].index(topic) % 4] == split
        for wording in wordings[SPLITS.index(split)]
    ]
    return [ask(Question(f"other/{text}", text, "", kind), (), "other") for kind, text in texts]
