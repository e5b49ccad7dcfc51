"""Questions and tasks to choose a threshold with. How a block is read: `ordinary.py`.

Shares no topic and no wording with those of train and test.
"""

QUESTIONS = {
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
}
"""{kind: its requests}."""
