"""What objectives are made of; `pipeline/objectives.py` lists them all."""
