"""Talk that asks nothing of a domain, and conversations, to choose a threshold with. How a
block is read: `ordinary.py`.

Shares no topic and no wording with those of train and test.
"""

TALK = {
    "greeting": """
    * Good evening; Greetings; Good day; Howdy
    {}, what shall I call you?
    {}, tell me a riddle.
    {}, do you have a name?
    {} everyone
    it's me again
    nice to see you
    long time no see
    """,
    "goodbye": """
    So long!
    until next time
    I will be back soon.
    gotta run
    Catch you later.
    farewell
    Enjoy your evening!
    I am leaving now
    """,
    "thanks": """
    That is very helpful.
    thank you so much!
    I owe you one.
    great work, much appreciated
    lovely, thank you dear
    Brilliant!
    You saved my day.
    Excellent answer.
    nice one
    """,
    "short reply": """
    yeah
    never
    I guess so
    Absolutely!
    not really
    sounds good
    definitely
    who knows
    almost
    same here
    no idea
    no way
    both
    neither
    """,
    "follow-up": """
    * the second one; the museums; the costs; the mountains; the animals; the clothes
    What else is there about {}?
    But {}?
    And how about {}
    Could you say more?
    I don't believe you.
    please elaborate
    How come?
    Once again, slowly.
    Is there another way?
    That was not my question.
    And if not?
    What is the reason for that?
    too long, shorten it
    Since when?
    says who?
    and how much?
    """,
    "feeling": """
    * exhausted; jealous; grateful; scared; relaxed; confused
    Today I am feeling {}.
    Everybody says I look {}
    is it normal to be {}?
    I get {} when it rains
    """,
    "love": """
    * pasta; my kids; snowy days; old cars; loud people; Sundays
    I really like {}
    I can't stand {}!
    nothing beats {}
    What is so special about {}?
    """,
    "statement of things": """
    * dog; mouse; truck; trumpet; coat; saw; cheese; taxi; hat; wrench; goat; banana
    my {} ran out of luck
    My {} needs a new home.
    I dropped my {} in the mud
    This {} was a present from my aunt.
    your {} is beautiful
    there is a {} in my kitchen
    I dreamt of a {} last night
    the {} smells funny
    We could not find the {} anywhere
    """,
    "statement of people": """
    * sister; father; roommate; cousin; coach
    my {} has a new job
    My {} doesn't talk to me any longer.
    I had lunch with my {}
    her {} is a famous painter
    my {} hates surprises
    """,
    "statement": """
    I quit my job today.
    The wind is strong.
    we went hiking
    I have a cold
    My flight was cancelled.
    I am from Brazil
    it is almost midnight
    I can play chess.
    the baby is asleep
    Someone is knocking at the door.
    I have been here before
    we are getting a divorce
    My phone battery is empty.
    She never answers me
    I got the job!
    the soup needs salt
    I am not in the mood for jokes
    They painted the house yellow.
    I turn forty next week
    that makes no sense to me
    """,
    "adjectives in sentences": """
    * fat cat; blue jacket; fast boat; sharp knife; sweet melon; brown horse
    Their {} was in the newspaper.
    Nobody wants the {}.
    We took a picture of a {}
    What would you pay for a {}?
    """,
    "own nouns that are no things": """
    * dear mother; second marriage; final exam; big secret; better half; new neighbor
    his {}
    our {}
    Have you heard about her {}?
    """,
    "phrases": """
    a walk in the park
    the sound of silence
    a needle in a haystack
    the rest of the story
    an offer you cannot refuse
    the other day
    this strange old town
    a fine mess
    the great unknown
    a once simple life
    """,
    "single word": """
    dog
    saw
    cheese
    trumpet
    green
    airplane
    hat
    war
    London
    tennis
    freedom
    tea
    Shakespeare
    snow
    hospital
    Friday
    sorry
    name
    """,
    "list of words": """
    flour, butter, sugar
    yellow, purple, orange
    January, February, March
    tiger, lion, bear
    Tom, Dick and Harry
    spring, summer, autumn, winter
    soap, towel, toothbrush
    bread and butter
    guitar, bass, drums
    """,
    "command": """
    * book a table; feed the fish; return the keys
    Help me remember to {}.
    Note: {}
    Wake me up at nine.
    make me laugh
    Read the news to me.
    Pretend to be a cat.
    Rhyme with me.
    Count to twenty.
    Name three rivers.
    change the subject
    Write down what I say.
    give me a hint
    be honest
    """,
    "about you": """
    Do you have feelings?
    what can't you do
    Were you born?
    Which model are you?
    Do you remember me?
    do you sleep at night?
    Why are you so slow?
    are you real
    """,
    "other languages": """
    Buenos días
    Hallo, wer bist du?
    merci beaucoup
    il mio gatto nero
    Où est la gare ?
    das alte Auto
    quanto custa?
    """,
    "careless": """
    YESSS
    whats ur fav color
    plz
    ty
    rofl
    dunno
    !!!
    :(
    qwerty
    u there?
    wtf
    ok cool
    aaaa
    """,
}
"""{kind: its requests}."""

CONVERSATIONS = {
    "follow-up": """
    * the boats; the dogs; the rain; the old tower
    How is life on the coast? | Calm and windy. | Is it cold? | In winter, yes. | {} too?
    Describe your village. | It lies in a green valley. | Also {}?
    What frightened you? | I cannot be frightened. What frightened you? | {}
    """,
    "answer to a question": """
    * my blue coat; my new trumpet; the old truck; his nice saw; a fresh salad
    I have a present for you. | Thank you! What is it? | {}
    Something is missing from my room. | Oh dear. What is it? | {}
    I need to pack one more thing. | What did you leave out? | {}
    """,
    "numbers as an answer": """
    * 11, 15, 19; 52, 37, 68; 20, 40, 60; 23
    I want to book seats. | Which ones would you like? | {}
    When shall we meet? | I am free all month. Which dates do you propose? | {}
    What did you score? | I did not play. What were your scores? | {}
    """,
    "code as a topic": """
    * the sum of the list; the first item of the list; the string in upper case
    I could not do one exercise. | Which one? | {}
    What did we learn last week? | I was not there. What do you remember? | {}
    """,
    "talk": """
    Ahoy | Ahoy! What is up? | I feel sad.
    Good evening | Good evening! | my dog ate my homework
    Do you like music? | I know a lot about it. And you? | I play the violin.
    Who painted the Mona Lisa? | Leonardo da Vinci. | where is it now?
    I want a pet. | Which one? | a rabbit | They need space. | I have a garden.
    Help me choose a drink. | Hot or cold? | cold | Lemonade? | splendid
    Where is my bike? | I cannot know. What does it look like? | red, with a basket
    How was the film? | I have not seen it. How was it? | boring
    Name a tool. | A spade. | one more
    7 * 6? | 42 | and 9 * 9?
    What should I cook? | Something with what you have. | potatoes and carrots
    I am lost. | Where are you? | near the station | Follow the main road. | thank you kindly
    Tell me a fact. | Bees dance. | wow
    Which is bigger, an ant or a bee? | A bee. | and a wasp?
    """,
}
"""{kind: conversations whose last line is a request of the same kind}."""

OPENINGS = """
    Good afternoon. | Good afternoon! What can I do for you?
    Are you awake? | I am always awake. Ask me anything.
    What is the capital of Hungary? | Budapest is the capital of Hungary.
    Nice answer. | I am glad you like it.
    Shall we begin? | Yes, please. What is first?
    I want to try you out. | Please do. Ask whatever you like.
    """
"""Turns of talk that any request may follow."""

SYSTEMS = ("You are an assistant on a website.", "Keep it short.")
"""System messages that people write."""
