"""Raw corpora: files of any format, read, judged and joined into the tables of `corpus.py`."""
