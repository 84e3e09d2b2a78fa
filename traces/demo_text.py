"""The words of the demo traces. make_demo.py turns them into rows and trains the tokenizer on them.

All of it was written for this repository. A dialogue is a list of strings: question, answer,
question, answer, …
"""

# Plain completions: prompt, answer. The answer goes on where the prompt stops, spaces included.
COMPLETIONS = [
    ("Hello", " world!"),
    ("Hi", " there, good to see you."),
    (
        "The lighthouse keeper counted the ships:",
        " one, two, three, four, and then the fog came in.",
    ),
    (
        "Once upon a time, in a town where every clock was wrong,",
        " there lived a girl who was always on time. Nobody could explain it. She rose when the"
        " baker's first loaf cracked, left when the swallows changed sides of the street, and"
        " arrived just as the kettle began to sing. When the mayor asked for her secret she"
        " said: “I don't look at clocks. I listen.”",
    ),
    (
        "def fibonacci(n: int) -> int:\n",
        '    """Return the n-th Fibonacci number; fibonacci(0) is 0."""\n'
        "    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
    ),
    (
        "-- The ten customers who spent most last year\nSELECT",
        " c.name, SUM(o.total) AS spent\nFROM customers AS c\nJOIN orders AS o ON o.customer_id = c.id\n"
        "WHERE o.ordered_at >= DATE '2025-01-01'\n  AND o.ordered_at < DATE '2026-01-01'\n"
        "GROUP BY c.name\nORDER BY spent DESC\nLIMIT 10;\n",
    ),
    (
        "A haiku about an empty car park:\n\n",
        "White lines hold their breath.\nOne trolley rolls, remembers\nwhere the wind parked it.\n",
    ),
    ("Translate to Chinese: Good morning, the train leaves at seven.\n", "早上好，火车七点出发。"),
    ("春天来了，", "河边的柳树发了芽，孩子们脱下厚厚的外套，在草地上放风筝。🪁"),
    ("用一句话解释什么是缓存：", "缓存就是把刚算过的结果放在手边，下次再用时不必重新计算。"),
    ("Emoji for a long journey:", " 🧳🚂🌄🛶🏕️🌌🗺️"),
    ("Reply with two spaces, a word and a newline:", "  word\n"),
    ("Unit conversion. 26.2 miles in kilometres:", " 42.2 km (26.2 × 1.609 = 42.16, rounded)."),
    (
        "```json\n",
        '{\n  "name": "Ada",\n  "languages": ["English", "français", "中文"],\n'
        '  "active": true,\n  "score": 9.75\n}\n```',
    ),
    ("Die Katze sitzt", " auf der Fensterbank und zählt die Tauben. Es sind immer zu viele."),
    (
        "El tren de medianoche",
        " no para en ninguna estación, pero todos saben la hora en que pasa.",
    ),
]

# One prompt, recorded several times: the answers come back in this order, and then again.
REPEATED_PROMPT = "Toss a coin and tell me how it fell."
REPEATED_ANSWERS = [
    "Heads. It bounced twice on the table first.",
    "Tails, after rolling almost to the edge.",
    "Heads again! 🪙",
    "It landed on its edge, between two floorboards. I will toss again.",
]

# An answer that was cut off by the request's max_tokens.
CUT_PROMPT = "Count upwards from one, in words, and do not stop."
CUT_ANSWER = "One, two, three, four, five, six, seven, eight, nine,"

# A long system prompt that many conversations share, so that the prefix cache has work to do.
LIBRARY = """You are the assistant of the Lindow Street Library, a public lending library. Answer \
from this handbook, in the language of the question, in at most four sentences. If the handbook \
does not say, say so and give the phone number.

Opening hours. Monday to Friday from 9:00 to 20:00, Saturday from 10:00 to 17:00, closed on Sunday \
and on public holidays. The reading room on the second floor stays open until 22:00 from Monday to \
Thursday for holders of a library card. The returns box beside the main door is open day and night.

Cards. A card is free for everybody who lives, works or studies in the town; bring a document with \
your name and one with your address. Children under fourteen need the signature of an adult. A \
lost card costs 3.00 to replace. Visitors can have a day card for 2.00, which opens the reading \
room and the computers but does not allow borrowing.

Borrowing. Up to twelve items at a time: books for four weeks, films and games for one week, \
magazines for two weeks, musical instruments for eight weeks. Loans can be extended twice, online \
or by phone, unless someone else has reserved the item. Reservations are free, are kept for seven \
days, and are announced by e-mail.

Fees. 0.20 for each item and day after the due date, at most 6.00 for each item; children pay \
nothing. A card with more than 10.00 of fees is blocked until they are paid. Damaged or lost items \
are charged at what a new copy costs, plus 2.50 for binding and labels.

Rooms. Four study rooms for up to six people can be booked for two hours a day, at most two weeks \
ahead. The music room has a piano and is booked by the hour. The workshop in the basement has two \
3D printers, a sewing machine and a bookbinding press; the first visit starts with a half-hour \
introduction, every Tuesday at 17:00 and every Saturday at 11:00.

Children. Story time is on Wednesday at 15:30 for ages three to six, and on Saturday at 10:30 in \
two languages. Homework help is on Monday and Thursday from 15:00 to 17:00, without registration.

Printing. 0.10 a page in black and white, 0.40 in colour. Scanning to e-mail is free. The computers \
are free for holders of a card, one hour at a time, longer if nobody is waiting.

Access. There is a lift to every floor, a ramp at the side entrance on Mill Lane, and a hearing \
loop in the lecture hall. Guide dogs are welcome. Books are brought home, free of charge, to people \
who cannot come: call 555 0142.

The phone is answered from Monday to Friday, 9:00 to 18:00: 555 0140."""

# Questions to the library, each a conversation of its own.
LIBRARY_QUESTIONS = [
    (
        "When do you close on Saturday?",
        "We close at 17:00 on Saturday. The returns box is open all night.",
    ),
    (
        "How many books may I borrow, and for how long?",
        "You may have up to twelve items at a time, and books for four weeks. You can extend a loan"
        " twice, unless someone has reserved the book.",
    ),
    (
        "I lost my card 😟",
        "No need to worry! A new card costs 3.00. Bring a document with your name to the desk and you"
        " will have it in a few minutes. 🙂",
    ),
    (
        "My daughter's picture books are two weeks late. What do we owe?",
        "Nothing: children pay no fees for late returns. Please bring the books back when you can.",
    ),
    (
        "图书馆星期天开门吗？",
        "星期天和公共节假日闭馆。不过大门旁的还书箱昼夜开放，您随时可以还书。",
    ),
    (
        "可以借乐器吗？",
        "可以，乐器的借期是八周，还可以续借两次。音乐室里还有一架钢琴，可以按小时预约。🎹",
    ),
    (
        "Can I 3D print something today? It is Tuesday.",
        "Yes, if you come at 17:00: your first visit starts with a half-hour introduction, held every"
        " Tuesday at 17:00 and every Saturday at 11:00. The two printers are in the basement.",
    ),
    (
        "Do you have parking?",
        "The handbook does not say anything about parking. Please call 555 0140, Monday to Friday from"
        " 9:00 to 18:00.",
    ),
    (
        "Puis-je imprimer en couleur ?",
        "Oui, une page en couleur coûte 0,40 ; en noir et blanc, 0,10. La numérisation vers votre"
        " courriel est gratuite.",
    ),
    (
        "List the fees for late returns as bullet points.",
        "- 0.20 for each item and day after the due date\n- at most 6.00 for each item\n- children pay"
        " nothing\n- above 10.00 in total, the card is blocked until the fees are paid",
    ),
    (
        "My grandfather can't leave the house. Can he still read your books?",
        "Yes. We bring books home, free of charge, to people who cannot come. Please call 555 0142.",
    ),
    ("Thank you!", "You are welcome. Happy reading! 📚"),
]

# Conversations without a system prompt; every turn is a row that holds the whole history.
CHATS = [
    [
        "What is a KV cache?",
        "When a language model reads a token, each attention layer computes a key and a value for it."
        " Every later token needs them again, so the server keeps them in memory: that is the KV"
        " cache. It grows by one entry for each token of each running request.",
        "And what is a prefix cache, then?",
        "A KV cache that outlives its request. If two prompts begin with the same tokens, the keys and"
        " values of that beginning are equal too, so the second request takes over the blocks of the"
        " first and computes only what differs.",
        "So long system prompts become cheap?",
        "After the first request, yes: cheap to compute. They still take up memory, and when memory is"
        " short the blocks that were used least recently are given away first.",
    ],
    [
        "写一首关于猫和月亮的短诗。",
        "屋顶上的猫\n伸出一只爪子\n想把月亮拨过来\n月亮滚进云里\n猫装作什么也没发生",
        "再加一行结尾。",
        "只有影子，笑了一整夜。",
    ],
    [
        "Write a Python function that removes duplicates from a list and keeps the order.",
        "```python\ndef unique(items):\n    return list(dict.fromkeys(items))\n```\n\n"
        "A dict keeps the order of insertion, so the first of each equal pair stays where it was.",
        "What if the items are not hashable?",
        "Then compare them one by one, which takes quadratic time:\n\n```python\ndef unique(items):\n"
        "    result = []\n    for item in items:\n        if item not in result:\n"
        "            result.append(item)\n    return result\n```",
    ],
    [
        "Only emoji: tell the story of a seed.",
        "🌰🕳️🌧️🌱☀️🌿🐛😱🐦😌🌳🍎👧🍏🌰",
        "Now in words, please.",
        "A seed falls into a hole. Rain comes, and a shoot, and sun, and leaves; a caterpillar, alarm; a"
        " bird, relief. The tree bears an apple, a girl eats it, and she plants the seed.",
    ],
    [
        "Is 391 a prime number? Think step by step.",
        "<think>\nThe square root of 391 is just under 20, so I try the primes up to 19: 2, 3, 5, 7, 11"
        " and 13 do not divide it. 17 × 23 = 391.\n</think>\n\nNo. 391 = 17 × 23.",
    ],
    [
        'Convert this to YAML: {"name": "web", "ports": [80, 443], "env": {"DEBUG": false}}',
        "name: web\nports:\n  - 80\n  - 443\nenv:\n  DEBUG: false\n",
    ],
]

# A conversation with a tool. The answers are raw model output, tool call markup included.
TOOL_CHAT = [
    {"role": "system", "content": "You may call get_weather(city). Answer with its result."},
    {"role": "user", "content": "Do I need an umbrella in Bergen today?"},
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bergen"}}\n</tool_call>',
    {"role": "tool", "content": '{"city": "Bergen", "sky": "rain", "temperature_c": 9}'},
    "Yes, it is raining in Bergen at 9 °C. Take the big one. ☔",
]

# Sessions of several turns for sessions.jsonl, all with the library's system prompt.
LIBRARY_SESSIONS = [
    [
        "Hello, I just moved here. How do I join?",
        "Welcome! A card is free for everybody who lives here. Please bring a document with your name"
        " and one with your address.",
        "Would a rental contract do for the address?",
        "The handbook asks for a document with your address and does not list which ones. To be sure,"
        " call 555 0140.",
        "Fine. Until when can I come by today, a Friday?",
        "Until 20:00. We open again tomorrow, Saturday, at 10:00.",
    ],
    [
        "I would like to book a room for our reading group.",
        "With pleasure. We have four study rooms for up to six people, for two hours a day, and you can"
        " book up to two weeks ahead. How many are you?",
        "We are eight.",
        "Then a study room is too small: they hold six. The handbook names no larger room for groups,"
        " so please ask at 555 0140.",
        "Two of us can stay at home.",
        "Then a study room is just right. 🙂 Which day, within the next two weeks, shall it be?",
    ],
    [
        "我想续借一本书。",
        "好的。每本书可以续借两次，网上或打电话都可以，只要没有别人预约。",
        "已经有人预约了怎么办？",
        "那就不能续借了，请在到期日之前归还。您也可以自己预约，书到了我们会发邮件通知您。",
        "预约要钱吗？",
        "不要钱。预约的书会为您保留七天。",
    ],
    [
        "Which events are there for my four-year-old?",
        "Story time on Wednesday at 15:30 is for ages three to six. There is another on Saturday at"
        " 10:30, in two languages.",
        "Which two languages?",
        "The handbook does not say. Please call 555 0140.",
    ],
    [
        "The printer took my money and printed nothing!",
        "I am sorry about that. The handbook does not say how refunds work; please show the people at"
        " the desk, or call 555 0140.",
        "It was only forty cents.",
        "That is one page in colour. The desk will surely sort it out, and scanning to e-mail is free"
        " in the meantime.",
        "Ha. OK, thanks.",
        "You are welcome. 🖨️",
    ],
    [
        "What do I owe? I have three books that are five days late.",
        "3.00: three books, five days, 0.20 for each book and day.",
        "And if I forget them for two months?",
        "Then the limit of 6.00 for each book is reached, so 18.00 for the three. Above 10.00 your card"
        " is blocked until you pay.",
        "And if I drop them into the bath?",
        "Then we charge what a new copy costs, plus 2.50 for binding and labels, for each of them. 🛁",
        "I will bring them tomorrow.",
        "Good idea. The returns box is open all night.",
    ],
    [
        "¿Tienen ascensor?",
        "Sí, hay ascensor a todas las plantas y una rampa en la entrada lateral, en Mill Lane.",
        "¿Puedo entrar con mi perro guía?",
        "Por supuesto, los perros guía son bienvenidos.",
    ],
    [
        "I am visiting for a day and need a quiet place to write.",
        "A day card for 2.00 opens the reading room on the second floor, and the computers.",
        "Can I stay late with it?",
        "The long hours, until 22:00 from Monday to Thursday, are for holders of a library card. The"
        " handbook does not say whether a day card counts; please ask at 555 0140.",
        "May I borrow a novel for the train?",
        "Not with a day card, I am afraid: it does not allow borrowing.",
    ],
    [
        "Wie lange kann ich eine Gitarre ausleihen?",
        "Instrumente können Sie acht Wochen behalten und zweimal verlängern, wenn niemand sie"
        " vorbestellt hat.",
        "Und einen Film?",
        "Filme und Spiele eine Woche, Zeitschriften zwei Wochen.",
    ],
    [
        "Can I learn bookbinding at your place?",
        "There is a bookbinding press in the workshop in the basement. The first visit starts with a"
        " half-hour introduction, every Tuesday at 17:00 and every Saturday at 11:00.",
        "Saturday it is. How long may I stay?",
        "The library is open until 17:00 on Saturday. The handbook sets no other limit for the workshop.",
        "Do I have to bring paper?",
        "The handbook does not say. Please call 555 0140 before you come.",
    ],
    [
        "Summarise your borrowing rules as a table.",
        "| what | how long |\n|---|---|\n| books | 4 weeks |\n| magazines | 2 weeks |\n"
        "| films, games | 1 week |\n| instruments | 8 weeks |",
        "Add a row for reservations.",
        "| what | how long |\n|---|---|\n| books | 4 weeks |\n| magazines | 2 weeks |\n"
        "| films, games | 1 week |\n| instruments | 8 weeks |\n| reservations | kept for 7 days |",
    ],
    [
        "Are you a human?",
        "No, I am the library's assistant, a program. The people are at 555 0140.",
        "Do you read books, at least?",
        "Only the handbook, over and over. The ending never changes. 📖",
    ],
]
