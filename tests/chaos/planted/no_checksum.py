"""What is read is not compared with what was recorded."""

import foretell.store.checked as checked

checked.check = lambda key, data, expected: None
