"""`t2 chat`: a conversation, each answer under the weights that it needs.

`conversation`, `settings`, `sessions` and `votes` are what is said and kept, and know no
terminal; `talk` answers, `turns` asks for the next; `commands` is the table of what can be
typed; `keyboard`, `lines` and `columns` are the terminal.
"""

from .command import chat as chat
