"""Questions and tasks that people type, to report on. How a block is read: `ordinary.py`.

Shares no topic and no wording with those of train and validation.
"""

QUESTIONS = {
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
}
"""{kind: its requests}."""
