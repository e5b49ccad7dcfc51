"""Talk that asks nothing of a domain, and conversations, to report on. How a block is read:
`ordinary.py`.

Shares no topic and no wording with those of train and validation.
"""

TALK = {
    "greeting": """
    * Good to see you; Welcome; Salutations
    {}, nice to meet you.
    {}, shall we talk?
    {}, are you human?
    {}, what day is it?
    anybody home?
    morning!
    """,
    "goodbye": """
    bye for now
    Ciao!
    I must leave, my train is waiting.
    peace out
    See you next week.
    that's it, thanks and bye
    """,
    "thanks": """
    Thanks again, you are the best.
    much obliged
    awesome, thanks!
    I am very grateful to you.
    that was exactly what I needed
    kudos
    bravo
    """,
    "short reply": """
    yep
    certainly not
    I think so.
    possibly
    all right
    whatever
    alright then
    me too
    hardly
    as you like
    """,
    "follow-up": """
    * the third one; the beaches; the buses; the insects; the shoes
    And about {}?
    What can you say about {}?
    what is wrong with {}
    keep going
    That can't be true.
    Who told you that?
    In which order?
    can you prove it?
    Not that one, the other.
    What would you do?
    more details please
    how so?
    """,
    "feeling": """
    * anxious; cheerful; heartbroken; sleepy; guilty
    I have been {} all week
    My therapist says I am {}.
    how do I stop being {}?
    """,
    "love": """
    * mornings; my grandma; seafood; the smell of rain; long meetings
    I adore {}
    I am tired of {}
    who doesn't enjoy {}?
    """,
    "statement of things": """
    * cow; sheep; van; flute; sock; rake; bread; scooter; glove; shovel; turtle; lemon
    my {} disappeared
    My {} turned three today.
    I traded my {} for a lamp
    Nobody has seen the {} since Tuesday.
    I am afraid of the {}
    the {} made a strange noise
    Can I bring my {}?
    """,
    "statement of people": """
    * grandfather; wife; colleague; niece; nephew
    my {} won the lottery
    My {} is afraid of flying.
    I borrowed money from my {}
    our {} arrives tomorrow
    """,
    "statement": """
    I passed my driving test!
    There is a hole in the roof.
    we ran out of coffee
    My tooth is killing me
    I moved here last year.
    it has been a long day
    I don't eat meat
    the power went out
    I am writing a novel.
    somebody ate my lunch
    My parents are visiting.
    I speak three languages
    he proposed to me!
    The meeting went badly.
    we are expecting twins
    I am allergic to nuts
    this chair is uncomfortable
    You sound like my mother.
    """,
    "adjectives in sentences": """
    * wild pig; silk shirt; rusty van; golden flute; sour lemon
    Grandma gave away the {}.
    Is the {} still for sale?
    I tripped over a {}
    They named a street after the {}
    """,
    "own nouns that are no things": """
    * dear wife; early childhood; lost youth; new address; strange dream; worst fear
    my {} again
    their {}
    What do you make of our {}?
    """,
    "phrases": """
    a drop in the ocean
    the road not taken
    the calm before the storm
    an eye for an eye
    this old song
    the fine print
    a favorite of mine
    the usual suspects
    """,
    "single word": """
    sheep
    shovel
    bread
    flute
    yellow
    scooter
    sock
    peace
    Madrid
    chess
    justice
    wine
    Beethoven
    autumn
    pharmacy
    Sunday
    welcome
    """,
    "list of words": """
    rice, beans, corn
    pink, gray, brown
    April, May, June
    wolf, fox, deer
    Jack and Jill
    left, right, up, down
    shampoo, comb, mirror
    fish and chips
    harp, tuba, oboe
    """,
    "command": """
    * lock the door; iron the shirts; thank the host
    Tell me when to {}.
    Before I forget: {}
    Cheer me up.
    Flip a coin.
    Spell your name.
    Describe yourself in three words.
    Name two oceans.
    do something
    guess my age
    Whisper.
    """,
    "about you": """
    Are you alive?
    what do you look like
    Do you get tired?
    Can you keep a secret?
    Do you know what love is?
    why should I listen to you?
    """,
    "other languages": """
    Buona sera
    Wie alt bist du?
    de rien
    el coche azul
    Je ne comprends pas.
    """,
    "careless": """
    NOOO
    whos there
    thxx
    lmao
    hmm ok
    ;)
    zzz
    r u ok
    yo
    blah blah
    """,
}
"""{kind: its requests}."""

CONVERSATIONS = {
    "follow-up": """
    * the sharks; the cows; the fog; the young ones
    Why do people fear the ocean? | It is deep and dark. | True. | Many do. | Also about {}?
    What does a farm need? | Land, water and care. | What of {}?
    I could not sleep. | What kept you awake? | {}
    """,
    "answer to a question": """
    * my gray socks; my lovely flute; the white van; her plain gloves; a new shovel
    I forgot something at your place. | What was it? | {}
    I finally found it! | What did you find? | {}
    You will never guess what the dog chewed. | Do tell! | {}
    """,
    "numbers as an answer": """
    * 13, 22, 27; 48, 35, 59; 10, 30, 50; 64
    I have to pick three raffle tickets. | Which numbers will you take? | {}
    The kids grew a lot. | How old are they now? | {}
    """,
    "code as a topic": """
    * the length of the string; the list reversed; the largest item of the list
    The interview went badly. | What did they ask? | {}
    I wrote a note on my hand. | What does it say? | {}
    """,
    "talk": """
    Yo | Hello! What is on your mind? | nothing much
    Rise and shine! | Good morning! Did you sleep well? | no, my sheep escaped
    Have you read Emma? | I know the story. | do you like it?
    When was the first Olympics? | In 776 BC, in Greece. | and the modern ones?
    I need a hobby. | Indoors or outdoors? | outdoors | Try climbing. | too dangerous
    What is for breakfast? | What do you like? | bread and honey
    My car makes a noise. | What kind of noise? | a loud squeak
    Name a vegetable. | Leek. | now a fruit
    14 - 6? | 8 | 30 - 4?
    I bought shoes. | Which color? | white
    Do penguins fly? | No. | and ostriches?
    I met someone. | Tell me about him! | a tall man with a small dog
    """,
}
"""{kind: conversations whose last line is a request of the same kind}."""

OPENINGS = """
    Hey you. | Hey! How may I help?
    Do you have a minute? | For you, always. Go ahead.
    Here comes a request. | All right, tell me.
    You are nice. | Thank you, so are you!
    What is the capital of Portugal? | It is Lisbon.
    """
"""Turns of talk that any request may follow."""

SYSTEMS = ("You are a polite assistant.", "Be concise.")
"""System messages that people write."""
