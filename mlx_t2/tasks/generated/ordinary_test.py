"""Ordinary requests to report on. How a block is read: `ordinary.py`.

Shares no topic and no wording with those to learn from and to validate with.
"""

REQUESTS = {
    "capital": """
    * Kenya; Canada; Ghana; Cuba; Morocco; Jordan
    Name the capital of {}, please.
    How many people live in {}?
    What is {} known for?
    """,
    "recipe": """
    * apple pie; banana bread; sushi; chocolate cake; guacamole
    Can you teach me to prepare {}?
    What can I serve with {}?
    Who invented {}?
    """,
    "explanation": """
    * the water cycle; earthquakes; evolution; the immune system; the greenhouse effect
    Help me understand {}.
    I have never understood {}. What is it about?
    What are common mistakes about {}?
    """,
    "advice": """
    * make new friends; keep houseplants alive; quit smoking; study for exams; pack for a trip
    My friend wants to {}. What would you advise?
    I need help to {}.
    Why do people find it difficult to {}?
    """,
    "story": """
    * a lunar colony; a haunted library; the last train home; a village by the sea
    Compose a few verses about {}.
    Begin a novel about {}.
    Write the lyrics of a song about {}.
    """,
    "translation": """
    * keep the change; I am hungry; have a safe journey; we are on holiday
    Please put "{}" into Portuguese.
    How would a Swede say "{}"?
    Say "{}" in Polish and in Turkish.
    """,
    "history": """
    * the moon landing; the Silk Road; the Great Depression; the Magna Carta
    Describe the causes and effects of {}.
    Who played a part in {}?
    How long ago was {}?
    """,
    "person": """
    * Nelson Mandela; William Shakespeare; Amelia Earhart; Confucius
    Tell me something surprising about {}.
    Why do we remember {}?
    What would {} say about the world today?
    """,
    "place": """
    * Istanbul; Bangkok; Barcelona; Singapore
    I have one day in {}. Any suggestions?
    Is {} a good place to live?
    What do people from {} like to do?
    """,
    "opinion": """
    * working from home; learning Latin; jazz; online courses
    Argue against {}.
    Is {} worth the effort?
    What would life be without {}?
    """,
    "letter": """
    * a hotel; a customer; my doctor; a book club
    Write an invitation to {}.
    What do I write on a card for {}?
    Proofread my letter to {}.
    """,
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
    "sum": """
    * 23 + 48; 8 * 7; 91 - 46; 96 / 6; 2 + 3 + 4; 500 - 75; 14 x 3; 21 + 54 + 36
    {} is
    evaluate {}
    do the math: {}
    """,
    "number": """
    1984
    180
    6 am
    1.414
    5, 4, 3, 2, 1
    03/09/2031
    75 %
    2 kg
    gate 22
    8
    5 10 15
    2-0
    3 out of 10
    ages 12 and up
    chapter 3, page 17
    lines 14, 28 and 61
    dial 112
    60 40 20
    """,
    "question about numbers": """
    * chairs; continents; calories; goals
    Roughly how many {}?
    what number of {} is normal?
    Is 77 a multiple of 7?
    How do I multiply by eleven?
    which numbers are perfect squares?
    How many inches make a foot?
    Which decade was best?
    My times were 54, 51 and 49.
    Bring 10, 12 or 14 chairs.
    Flights leave at 7, 11 and 16.
    The winners are 18, 37 and 44.
    We drew 21, 60 and 33 in bingo.
    """,
    "word problem": """
    * Nina; the gardener; a clerk
    {} plants 6 rows of 7 tulips. How many tulips is that?
    {} saves 15 dollars every week. After how many weeks are there 90?
    {} shares 36 cookies among 4 children. How many does each get?
    """,
    "program": """
    * plays chess; sends an email; converts miles to kilometers; searches a text for a word
    Give me a complete Python program that {}.
    How would I write a tool that {}?
    """,
    "code": """
    printf("bye");
    def square(n): return n * n
    if x > 3: print(x)
    import numpy as np
    z = {"a": 1}
    DROP TABLE students;
    chmod +x run.sh
    pip list
    What is the output of len("abc")?
    explain xs[-1]
    My program never stops.
    What is a class?
    How do I round a float in Python?
    Is zero-based indexing common?
    Repair this: retrun x
    how to merge dictionaries
    """,
    "near lists and strings": """
    arrange my bookshelf
    the first item of the evening was a song
    Give me a list of Greek gods.
    the length of the film annoyed me
    in sum, it was a failure
    whether we like it or not
    the last three pages are missing
    the list price
    My code name is Falcon.
    Is the string section of the orchestra large?
    the smallest details matter
    I repeated the question three times.
    The number you have dialed is not available.
    turn the volume up
    the difference between price and cost
    """,
    "near kinds of things": """
    * mammal; spice; gadget; garment
    Which {} would you take to an island?
    Is there a {} that nobody likes?
    What sound does a sheep make?
    Is bread bad for you?
    Why are buses yellow?
    How do I tune a guitar?
    Which clothes go with gray?
    Do tools rust in winter?
    an animal I have never seen
    Are carrots good for the eyes?
    """,
    "near largest": """
    the richest person in history
    Which planet is the largest?
    Who ran the fastest mile?
    the biggest mistake of my life
    the greater good
    Which is older, Rome or Athens?
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
    "fact": """
    * a comet; the brain; a patent; the Sahara
    How old is {}?
    Give me a fun fact about {}.
    Why do leaves fall?
    where do penguins live
    Who was the first woman in space?
    """,
    "grammar": """
    Is this right: Me and him is friends?
    "Affect" or "effect"?
    the plural of sheep
    a word that means very cold
    Form a question from: He likes tea.
    """,
    "text": """
    Sum up: The library is closed on Monday for repairs. Books can be returned at the town hall.
    Friendly or unfriendly? "Do not ever call me again."
    Where does it take place? Lena waited at the harbor until the fog was gone.
    Odd one out: A) violin B) flute C) fork D) harp
    Which of these conducts electricity? A. wood B. copper C. glass D. wool
    Finish this: The door opened and
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
    What is the capital of Portugal? | It is Lisbon.
    """
"""Turns of talk that any request may follow."""

SYSTEMS = ("You are a polite assistant.", "Be concise.")
"""System messages that people write."""
