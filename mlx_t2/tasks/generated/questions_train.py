"""Questions and tasks that people type, to learn from. How a block is read: `ordinary.py`.

Shares no topic and no wording with those of validation and test.
"""

QUESTIONS = {
    "capital": """
    * France; Japan; Norway; Egypt; Poland; Chile; Turkey; Nepal; Iran; Mexico; Ireland; Spain
    What is the capital of {}?
    Tell me the capital city of {}.
    Where is {}?
    """,
    "recipe": """
    * pancakes; chicken curry; fried rice; lentil stew; an omelette; hummus; beef tacos
    * garlic bread; risotto; vegetable lasagna; potato salad; cinnamon rolls
    How do I make {}?
    Give me a simple recipe for {}.
    What goes into {}?
    """,
    "explanation": """
    * photosynthesis; inflation; black holes; vaccines; rainbows; electricity; tides; magnetism
    * the stock market; nuclear fusion; supply and demand
    Explain {} in simple words.
    What do we know about {}?
    Why does {} matter?
    """,
    "advice": """
    * sleep better; learn to swim; stop worrying; train for a marathon; get over a cold
    * wake up early; deal with a loud neighbor; choose a laptop; ask for a raise; start a garden
    How can I {}?
    Give me three tips to {}.
    What is the best way to {}?
    """,
    "story": """
    * a lonely lighthouse; two brothers; a lost kitten; a robot gardener; winter
    * a talking tree; a brave little mouse; a secret door; a clumsy wizard; friendship
    Write a short story about {}.
    Write a poem about {}.
    Draw me a picture of {}.
    """,
    "translation": """
    * good morning; where is the station; how much does it cost; happy birthday; good night
    * the weather is nice today; can you help me; I would like a coffee; what time is it
    Translate "{}" into French.
    How do you say "{}" in Spanish?
    """,
    "history": """
    * the French Revolution; the Cold War; the Black Death; the fall of the Berlin Wall
    * the Industrial Revolution; ancient Egypt; the printing press; the Ottoman Empire
    Tell me about {}.
    Why was {} important?
    When was {}?
    """,
    "person": """
    * Marie Curie; Frida Kahlo; Cleopatra; Ada Lovelace; Leonardo da Vinci; Isaac Newton
    * Charles Darwin; Mozart; Galileo Galilei
    Who was {}?
    What is {} famous for?
    Where was {} born?
    """,
    "place": """
    * Rome; New York; Lisbon; Berlin; Sydney; Vienna; Edinburgh; Amsterdam; Mumbai; Dublin
    What should I see in {}?
    Plan a weekend in {}.
    How is the weather in {}?
    """,
    "opinion": """
    * reading novels; living in the countryside; electric cars; cooking at home; yoga
    * public transport; camping; vegetarian food; running
    What do you think about {}?
    What are the pros and cons of {}?
    Why try {}?
    """,
    "letter": """
    * my landlord; my grandmother; the city council; my boss; my best friend; the school
    Write an email to {} to say thank you.
    Draft a letter of complaint to {}.
    """,
    "sum": """
    * 12 + 30; 7 * 8; 45 - 17; 100 / 4; 3 + 5 + 9; 81 - 9; 250 + 250; 6 x 7; 15 % of 80; 2^10
    * 99 + 1; 64 / 8; 13 * 11; 5 - 8; 1/2 + 1/4; 20 + 35 + 41
    {}
    {} =
    {} = ?
    What is {}?
    calculate {}
    How much is {}
    """,
    "number": """
    2026
    42
    10:45
    3.14159
    1 2 3 4 5 6 7 8 9 10
    555-0199
    24/12/2025
    50 %
    $20
    1,000,000
    2, 4, 6, 8, ...
    15 20 25 30
    100 km
    version 3.12.1
    7
    room 214
    12 May 1998
    6 feet 2 inches
    -5
    0.001
    10 - 12
    1st, 2nd, 3rd
    99 bottles
    40 + years
    call 30 21 18 77
    17.50 euros
    my number is 31 45 62 80
    1 1 2 3 5 8 13
    1, 4, 9, 16, 25, ?
    20, 19, 18, 17, 16, 15
    5, 10, 15, 20, 25
    31, 30, 29
    10, 100, 1000
    8, 13
    1, 1, 2, 3, 5
    3 14 15 92 65
    number 7, please
    """,
    "question about numbers": """
    * apples; eggs; bones; planets; keys on a piano; states; weeks; strings on a guitar
    How many {} are there?
    how many {} do I need?
    Count the {}.
    What is the square root of 144?
    is 91 a prime number?
    Pick a number between 1 and 10.
    How do I add two fractions?
    Which is bigger, a million or a billion?
    What is the average age in Japan?
    What comes after 4, 8 and 12?
    how old is a person born in 1985?
    How many minutes are in a day?
    Convert 30 kilometers into miles.
    What time is it in Tokyo when it is 9 in London?
    is 17 more than 70?
    Which numbers between 10 and 20 are even?
    what does 24/7 mean?
    round 3.678 to one decimal
    Is zero a number?
    My scores were 12, 45 and 33. Did I do well?
    I rolled 3, 5 and 6.
    The bus leaves at 8, 12 and 17.
    We are open on the 12th, 19th and 26th
    lottery numbers: 4, 18, 23
    The answer was 15, 20, or 25, I forgot.
    """,
    "word problem": """
    * Tom; Maria; the farmer; Ahmed
    {} has 3 apples and buys 5 more. How many are there now?
    {} drives 60 miles in 2 hours. What is the speed?
    If {} reads 12 pages every day, how long does a book of 300 pages take?
    {} had 40 dollars and spent a quarter of it. How much is left?
    A train leaves at noon and {} follows at one. Who arrives first?
    """,
    "program": """
    * adds two numbers; counts the words of a text; downloads a web page; reverses a string
    * reads a CSV file; checks a password; removes duplicates from a list; prints a calendar
    * finds the largest number of a list; sorts a list of names
    Write a Python function that {}.
    Write a program that {}.
    Can you code a script that {}?
    """,
    "code": """
    print("hello")
    def f(x): return x + 1
    for i in range(10): print(i)
    import os
    x = 5
    SELECT name FROM users;
    ls -la
    git push origin main
    <h1>Title</h1>
    console.log(x)
    len(
    What does this do: xs[::-1]
    explain max(a, b)
    My code fails with an index error.
    How do I install Python?
    What is a variable?
    What is the difference between a list and a tuple?
    how do I center a div
    why is my loop endless?
    Fix this: for i in rang(10): print(i)
    How do I sort a list in Python?
    How can I get the length of a string?
    What does the len function do?
    is Python faster than Java?
    How do I read the first line of a file?
    Show me how to reverse a string in C.
    """,
    "near lists and strings": """
    sort my photos
    the first item on my shopping list
    Make a list of names for a boy.
    a list of the best films
    The list is too long.
    the sum of all my bills is too high
    What is the length of the Nile?
    the last item was sold out
    the name of the song
    Is the number of students growing?
    whether it will rain tomorrow
    the largest item in the museum
    I wrote my name in capital letters.
    Put these words in order: is, what, this
    reverse the car into the garage
    the square in the middle of the town
    Multiply and divide: when did we learn that?
    The price plus tax, please.
    the number of people in the room was 12
    I lost the list of my passwords
    three times a charm
    What is the value of gold?
    first come, first served
    the remainder of the day
    the text says nothing about it
    The upper floor is for rent.
    """,
    "near kinds of things": """
    * animal; food; tool; color; instrument; vehicle
    Which {} is the most popular?
    What is your favorite {}?
    Name a {} that starts with B.
    What kind of {} should I choose?
    which animal is the fastest?
    Is a tomato a fruit?
    What do cats eat?
    What color is the sky?
    how long do dogs live?
    Do I need a hammer for this?
    What should I wear to a wedding?
    Which clothing is best for rain?
    Are whales fish?
    How does a piano work?
    an animal with long ears
    something to eat with rice
    my cat or your dog?
    Can a horse swim?
    the difference between a moth and a butterfly
    What rhymes with drum?
    Who invented the bicycle?
    """,
    "near largest": """
    the largest city in France
    What is the biggest ocean?
    Who is the tallest person alive?
    the highest mountain
    Which country is larger, China or Canada?
    What is the most expensive car?
    the longest word in English
    the coldest place on the planet
    the most beautiful beach in Spain
    the tallest building in the city
    the shortest day of the year
    the fastest way home
    Is bigger always better?
    The largest of the three brothers is ten.
    which of these is best?
    """,
    "fact": """
    * the moon; a light year; a hurricane; the stomach; a hedge fund; the equator
    How far is {}?
    What is {}?
    how does {} work?
    Why is the sea salty?
    When did people start to write?
    who discovered penicillin
    What causes headaches?
    Is it true that goldfish forget everything?
    """,
    "grammar": """
    Correct this: She go to school every day.
    Is it "who" or "whom"?
    What is the plural of mouse?
    a synonym for happy
    Use "however" in a sentence.
    What is the opposite of hot?
    How do you spell necessary?
    Rewrite: The dog was bitten by the man.
    """,
    "text": """
    Summarize: The meeting was moved to Friday because two people were ill. Bring your notes.
    Is this review good or bad? "The food was cold and the waiter was rude."
    Find the names in this text: Anna met Paul in Madrid.
    Answer the question. Text: The museum opens at ten. Question: When does the museum open?
    Make a title for this: Scientists found water on a distant planet last week.
    Which one is different? A) cat B) dog C) chair D) horse
    Choose the right answer. What do plants need? A. light B. sugar C. music D. salt
    True or false: the sun is a star.
    Complete the sentence: Yesterday I went to
    Dear Sir, I am writing to you about the position of a cook. Is this a good start?
    Classify the sentence as happy or sad: We lost the house.
    Turn this into a list: we need flour, sugar and two eggs
    """,
}
"""{kind: its requests}."""
