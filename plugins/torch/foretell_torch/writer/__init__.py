"""The prediction writer for anyone's Trainer: a callback, its files, and their reader.

While a Trainer predicts, every rank appends *segments* to a spool: files of many rows, each row
with its identity, put in place whole. When every row is there, rank 0 makes a Foretell run store in
input order of them (or files of ``torch.save``), and the spool goes.
"""
