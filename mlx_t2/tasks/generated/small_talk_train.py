"""Talk that asks nothing of a domain, and conversations, to learn from. How a block is read:
`ordinary.py`.

Shares no topic and no wording with those of validation and test.
"""

TALK = {
    "greeting": """
    * Hello; Hi there; Good morning; Hey; Hello again; Hi
    {}!
    {}
    {}, how are you?
    {}, can you help me?
    {}, what can you do?
    hey, what's up?
    how are you doing today
    hello my friend
    hiya
    """,
    "goodbye": """
    Goodbye!
    bye
    See you later.
    I have to go now.
    Have a nice day!
    talk to you tomorrow
    That is all for today, bye.
    Good night, sleep well.
    take care
    I am off to bed.
    """,
    "thanks": """
    Thanks!
    thank you
    Thank you very much.
    thanks a lot, that helped
    That was great, thank you!
    Many thanks for your help.
    perfect, thanks
    cheers
    You are very kind.
    I appreciate it.
    Wow, thanks for the quick answer
    Well done!
    good job
    """,
    "short reply": """
    yes
    no
    ok
    maybe
    Sure.
    I don't know
    Yes, please.
    no thanks
    right
    of course
    fine
    hm
    really?
    oh
    that's right
    I see
    not yet
    why not
    exactly
    nope
    """,
    "follow-up": """
    * the first one; the others; the weather there; the food; the price; the children
    * the trains; the colors; the birds; the music
    And {}?
    And what about {}?
    Tell me more about {}.
    Go on.
    tell me more
    Why?
    are you sure?
    Can you explain that again?
    That is wrong.
    What do you mean?
    Say it in other words.
    make it shorter
    Continue, please.
    What happened next?
    give me an example
    I did not understand that.
    and then?
    what else?
    Can you repeat the last part?
    """,
    "feeling": """
    * sad; happy; tired; lonely; angry; bored; nervous; proud; hungry; lost
    I feel {}.
    I am so {} today
    I'm {} and I don't know why.
    why am I always {}?
    I was very {} yesterday
    """,
    "love": """
    * you; my wife; summer; chocolate; this song; my job; Italian food; mondays; spiders
    I love {}
    I hate {}.
    I miss {}
    Do you like {}?
    I can't stop thinking about {}
    """,
    "statement of things": """
    * cat; horse; car; bicycle; guitar; piano; jacket; shoe; hammer; pizza; sandwich; rabbit
    * bus; drill; scarf; violin; soup; parrot; ladder; boat
    my {} is sick
    My {} is broken.
    I lost my {}
    I have a new {}.
    the {} was very expensive
    my old {} is in the garage
    Her {} looks great!
    someone stole my {} last night
    I need a {} for the weekend
    I bought this {} in Spain
    We saw a {} near the river today.
    the {} is over there
    """,
    "statement of people": """
    * brother; mother; best friend; boss; teacher; daughter; uncle; doctor
    my {} is getting married
    My {} lives in Canada.
    I had a fight with my {}
    my {} told me a secret
    his {} is very kind
    my {} and I went to the cinema
    I called my {} this morning.
    """,
    "statement": """
    I am learning to cook.
    It rained all day.
    the weather is nice
    I can't sleep.
    My head hurts
    I live in a small town near the sea.
    I just finished my exam
    we played football
    I was born in Norway.
    I have two sisters and a brother
    my name is Peter
    I work as a nurse.
    Today is my birthday!
    nothing works today
    I think it will snow soon
    our team won the game
    I have never been to Asia.
    she said no
    he is not here
    they moved to another city
    I want to change my life.
    this is boring
    You are funny.
    You are wrong about that
    life is good
    I forgot everything again
    the shop was closed
    my back aches after work
    your answer was too long
    I am 34 years old.
    I woke up at six and could not get back to sleep
    """,
    "adjectives in sentences": """
    * big dog; red dress; old truck; new phone; green apple; white coat; loud drum; plain salad
    Her {} was beautiful.
    The {} belongs to my neighbor.
    I saw a {} in the street
    Should I sell my {}?
    The {} is on the table
    He dreams of a {}.
    """,
    "own nouns that are no things": """
    * best friend; first day at school; last holiday; new job; favorite movie; old house
    * little sister; next appointment; whole life; bad luck; good idea; great plan; old problem
    * strange question; simple wish; favorite teacher; plain truth; nice evening; usual mistake
    * other opinion; lovely garden; fine weather; new street; great fear; private matter
    my {}
    her {}
    Tell me what you think of my {}
    my {} was a disaster
    this {}
    the {}
    Bob's {}
    """,
    "phrases": """
    a cup of tea
    the end of the world
    a long way home
    the meaning of life
    the day after tomorrow
    a piece of advice
    the best of both worlds
    the old man and the sea
    a matter of time
    the other side of the street
    this time next year
    the usual way of doing things
    a strange feeling
    the new year
    a simple question
    the tallest mountain in Asia
    the first few years of my life
    the oldest of four children
    a short story without an end
    the youngest king of all
    this lovely little street
    the plain truth about work
    an apple a day
    """,
    "single word": """
    cat
    horse
    hammer
    pizza
    piano
    blue
    train
    shirt
    love
    weather
    Paris
    money
    coffee
    music
    Einstein
    help
    democracy
    football
    happiness
    university
    doctor
    Monday
    rain
    family
    stop
    list
    number
    """,
    "list of words": """
    milk, eggs, bread
    red, green, blue
    Monday, Tuesday, Wednesday
    Anna, Ben, Carla
    cat, dog, horse
    rock, paper, scissors
    north, south, east, west
    France, Italy, Spain
    breakfast, lunch, dinner
    pen, paper, ruler, eraser
    apples and oranges
    salt and pepper
    hammer, nails, screws
    piano, violin and flute
    """,
    "command": """
    * call mom; water the plants; buy milk; pay the rent
    Remind me to {}.
    don't let me forget to {}
    Set an alarm for seven.
    turn on the lights
    play some jazz
    Tell me a joke.
    Surprise me.
    sing a song
    Be quiet.
    Start over.
    Forget what I said.
    Speak like a pirate.
    Answer in one word.
    Ask me a question.
    Let's play a game.
    list three fruits
    Name five cities.
    Give me a random word.
    open the window
    wait a moment
    stop talking
    Let's talk about something else.
    """,
    "about you": """
    Who are you?
    what is your name
    Are you a robot?
    Can you feel pain?
    Who made you?
    How old are you?
    Do you dream?
    What language do you speak?
    are you better than other models?
    Can I trust you?
    do you have a family
    where do you live?
    """,
    "other languages": """
    Bonjour!
    ¿Cómo estás?
    Guten Tag, wie geht es dir?
    Grazie mille
    Was ist das?
    je suis fatigué
    mi perro es grande
    Qual è la capitale della Francia?
    meine neue Gitarre
    la casa roja
    """,
    "careless": """
    HELLO
    wat is ur name
    pls help
    thx
    lol
    idk
    hahaha
    ???
    ...
    :)
    asdf
    HELP ME NOW
    how r u
    omg this is so cool
    test
    im bored
    gm
    brb
    """,
}
"""{kind: its requests}."""

CONVERSATIONS = {
    "follow-up": """
    * the ships; the birds; the trains; the snow; the old bridge
    Tell me about the sea. | The sea covers most of the Earth. | Is it dangerous? | It can be, \
    in storms. | How about {}?
    What is there to see in the north? | Forests, lakes and quiet villages. | What about {}?
    I like this place. | I am glad. What do you like best? | {}
    What did you see on your trip? | Many things. What would you like to hear about? | {}
    """,
    "answer to a question": """
    * my new shirt; my old guitar; the red bicycle; her plain scarf; a tomato soup
    I bought something today. | How nice! What did you buy? | {}
    Guess what I got for my birthday. | I cannot guess. What is it? | {}
    I lost something on the bus. | I am sorry. What did you lose? | {}
    What should I sell first? | What do you have? | {} | That should be easy to sell. | And \
    {}, too?
    """,
    "numbers as an answer": """
    * 12, 14, 18; 31, 25, 40; 9, 16, 23; 45, 60, 75; 17; 82, 14, 33; 50, 51
    Let us plan the week. | Sure. Which days suit you? | {}
    What are the ages of your children? | I have none, but how old are yours? | {}
    Help me with my bus trip. | Which lines stop near you? | {}
    I need a locker. | Which numbers are free? | {}
    How did the game end? | I did not see it. What was the result of each round? | {}
    What is the combination of your lock? | I have none. What is yours? | {}
    My pulse was odd all day. | What did you measure? | {}
    """,
    "code as a topic": """
    * the length of the list; the list in sorted order; the last item of the list; the number n
    I am learning Python. | Great! What are you working on? | {}
    What was hard in the exam? | You tell me. What was it? | {}
    My teacher gave us homework. | What is it about? | {}
    """,
    "talk": """
    Hi! | Hello! How can I help you? | I am bored.
    Good morning | Good morning! What can I do for you? | my cat is sick
    How are you? | I am fine, thank you. And you? | Tired, I worked all night.
    Who wrote Faust? | Goethe wrote it. | When? | The first part is from 1808. | thanks
    I need a name for my dog. | What about Rex? | Too common. | Perhaps Biscuit? | I like it!
    My sister is coming. | How lovely! Since when have you not seen her? | two years
    Recommend a book. | What do you like to read? | crime stories | Try Agatha Christie. | why?
    I want to paint my room. | Which color do you prefer? | blue
    What is for dinner? | What do you have in the fridge? | eggs, cheese and an onion
    Name an animal. | The fox. | another one
    What is 5 + 5? | 10 | and 12 + 30?
    Sing something. | La la la. | Again!
    Where do you come from? | I am a language model. | Oh
    I am going on a trip. | Where to? | Sweden | Nice! By plane? | no, by train
    Explain gravity. | Masses attract each other. | simpler please | Things fall down. | ok
    Give me a quiz. | What is the capital of Kenya? | Nairobi | Right! | next one
    Which is faster, a car or a horse? | A car. | and a train?
    I broke it. | What did you break? | the big drum
    Do you know my neighbor? | I do not. Who is it? | an old man with a dog
    How do I cook rice? | Boil it in twice as much water. | How long? | 18 minutes. | and pasta?
    """,
}
"""{kind: conversations whose last line is a request of the same kind}."""

OPENINGS = """
    Hi! | Hello! How can I help you today?
    Hello, are you there? | Yes, I am here. What would you like to know?
    Can you help me? | Of course. What do you need?
    Good morning. | Good morning! How can I assist you?
    Hello again | Welcome back! What can I do for you?
    I have a question. | Sure, what is it?
    Let's start. | I am ready. Go ahead.
    How are you? | I am well, thank you. What would you like to do?
    Tell me a joke. | Why did the scarecrow win a prize? He was outstanding in his field.
    Thank you! | You are welcome!
    What is the capital of Italy? | The capital of Italy is Rome.
    I am back. | Welcome back!
    """
"""Turns of talk that any request may follow."""

SYSTEMS = (
    "You are a helpful assistant.",
    "Answer briefly.",
    "You are a friendly teacher.",
)
"""System messages that people write."""
