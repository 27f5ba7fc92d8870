# Puts jobs into the queue: python3 add.py KIND NUMBER
import sqlite3
import sys

queue = sqlite3.connect("jobs.db", timeout=30)
queue.execute("CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, kind TEXT, taken INTEGER DEFAULT 0)")
queue.executemany("INSERT INTO jobs (kind) VALUES (?)", [sys.argv[1:2]] * int(sys.argv[2]))
queue.commit()
