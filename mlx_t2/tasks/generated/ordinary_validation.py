"""Ordinary requests to choose a threshold with. How a block is read: `ordinary.py`.

Shares no topic and no wording with those to learn from and to test with.
"""

REQUESTS = {
    "capital": """
    * Peru; Brazil; Vietnam; Greece; Austria; Thailand; Iceland
    Which city is the seat of government of {}?
    What language is spoken in {}?
    Is {} a large country?
    """,
    "recipe": """
    * tomato soup; a salad; pizza dough; lemonade; porridge; ramen
    I want to cook {} tonight. What do I need?
    How long does it take to make {}?
    What do you drink with {}?
    """,
    "explanation": """
    * gravity; DNA; monarchy; plate tectonics; hibernation
    Can you tell a child about {}?
    Give me a short introduction to {}.
    Where do I come across {} in daily life?
    """,
    "advice": """
    * save money; prepare for an interview; move to a new city; plan a wedding; adopt a dog
    I would like to {}. Where do I start?
    Is it hard to {}?
    What do I need to know before I {}?
    """,
    "story": """
    * a dragon who is afraid of fire; a pirate queen; an old sailor; a broken clock
    Make up a bedtime tale with {} in it.
    Invent a title for a book about {}.
    Suggest a film about {}.
    """,
    "translation": """
    * see you tomorrow; my name is Anna; mind the gap; the train is late
    What is "{}" in German?
    Give me the Italian for "{}".
    I am learning Dutch. What is "{}"?
    """,
    "history": """
    * the Roman Empire; the Renaissance; the Vikings; the Boston Tea Party
    Give me a summary of {}.
    What should everyone know about {}?
    Which books about {} are worth reading?
    """,
    "person": """
    * Albert Einstein; Mahatma Gandhi; Rosa Parks; Joan of Arc
    Write a short biography of {}.
    What did {} achieve?
    When did {} live?
    """,
    "place": """
    * Tokyo; Cairo; Prague; Toronto; Athens
    What is the best season to visit {}?
    Where can I eat well in {}?
    How do I get to {} by train?
    """,
    "opinion": """
    * social media; keeping a diary; video games; early retirement
    Do you recommend {}?
    Convince me of {}.
    Is {} getting more popular?
    """,
    "letter": """
    * a former teacher; a new colleague; an airline; a neighbor
    Help me write an apology to {}.
    How do I begin a message to {}?
    Write a short note to {} to ask for help.
    """,
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
    "sum": """
    * 18 + 27; 9 * 6; 72 - 35; 144 / 12; 4 + 8 + 15; 1000 - 1; 11 x 12; 3^4; 62 + 70 + 18
    so {}
    {} equals
    Solve {}.
    can you work out {}?
    """,
    "number": """
    1999
    365
    7:30 pm
    2.718
    10, 9, 8, 7, 6, 5
    01/01/2024
    25 percent
    500 g
    room 101
    13
    10 20 30
    1-2-3
    5 stars
    4 x 100 m
    1, 2, 3, go!
    page 45, line 12
    bus 17, 23 or 42
    tel. 0170 442 31
    90 60 90
    3, 6, 9, 12, 15
    """,
    "question about numbers": """
    * spoons; teeth; rivers; players; hours of sleep; strings on a violin
    How many {} does one need?
    is there a limit on {}?
    Is 51 divisible by 3?
    Think of a number.
    How do I divide by zero?
    What is the next number: 2, 3, 5, 8?
    which year was 15 years ago?
    How many seconds are in an hour?
    What are 10 dollars in euros?
    Is 8 a lucky number?
    What is ten percent of 250?
    Our goals this season: 14, 22, 9.
    He threw a 2, a 4 and a 5.
    trains at 10, 14 and 19 o'clock
    The kids are 11, 13 and 16 years old.
    My results are 65, 72 and 80. What do they mean?
    """,
    "word problem": """
    * Julia; my aunt; a baker
    {} bakes 24 rolls and sells 15. How many remain?
    {} earns 12 dollars an hour and works 6 hours. What is the pay?
    {} is twice as old as Ben, who is 9. How old is {}?
    Four friends share a bill of 60 with {}. What does each pay?
    """,
    "program": """
    * finds prime numbers; draws a circle; computes an average; rolls a die; squares a number
    Show me JavaScript code that {}.
    I need a class that {}.
    """,
    "code": """
    console.log("hi")
    def add(a, b): return a + b
    while True: pass
    #include <stdio.h>
    y = [1, 2, 3]
    SELECT * FROM orders WHERE id = 3;
    cd ..
    npm install
    What does sorted(xs) return?
    explain this: a % b
    I get a syntax error in line 3.
    What is recursion?
    How do I write a comment in Python?
    When do I use a dictionary?
    Debug this: prnt("x")
    How can I join two lists?
    what is an array
    """,
    "near lists and strings": """
    order a taxi
    the last item on the agenda
    A list of things to do in autumn, please.
    The length of the skirt is perfect.
    the sum was too small
    whether to stay or to go
    in reversed order of age
    the title of the book
    Is the list of guests complete?
    the weight of the world
    the text of the national anthem
    I can count the days.
    Times are hard.
    the smallest room in the house
    My password has to have a number in it.
    the first three weeks of the year
    The letter was never sent.
    """,
    "near kinds of things": """
    * bird; dessert; machine; fabric; fish
    Which {} do you like best?
    How heavy is a {}?
    Tell me the strangest {} you know.
    What does a fox say?
    Are bananas healthy?
    What is the best time to buy a car?
    Is purple a warm color?
    Should I learn the violin or the flute?
    an old saying about tools
    How do I wash a wool sweater?
    Do fish sleep?
    something with wheels
    What do I need a chisel for?
    """,
    "near largest": """
    the smallest country in the world
    Who scored the most goals?
    the deepest lake
    Which is heavier, gold or lead?
    the oldest tree on Earth
    Is more less?
    the larger of the two rooms is mine
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
    "fact": """
    * the sun; an atom; a volcano; the liver; a mortgage
    How big is {}?
    Who first described {}?
    What would happen without {}?
    why do we yawn
    Where does sugar grow?
    What is the boiling point of water?
    """,
    "grammar": """
    Find the mistake: They was late.
    When do I use "an"?
    What is the past tense of swim?
    another word for big
    Is "none" singular?
    What is an adverb?
    """,
    "text": """
    Shorten this: Due to heavy rain, the concert in the park will be held in the town hall.
    Positive or negative? "I would buy it again at once."
    Who is the text about? Paul took his daughter to the zoo on Sunday.
    Which word does not fit? A) rose B) tulip C) spoon D) daisy
    What melts ice? A. heat B. sand C. noise D. paper
    Continue: Once upon a time there was
    Yes or no: can penguins fly?
    Group these: apple, carrot, pear, onion
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
    """
"""Turns of talk that any request may follow."""

SYSTEMS = ("You are an assistant on a website.", "Keep it short.")
"""System messages that people write."""
