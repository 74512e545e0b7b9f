"""Do work on a million rows with many processes and machines: exactly one result for each row, whatever dies.

    manifest -> plan -> leases -> workers -> parts -> merge

A row is a name in and some kilobytes out. The driver hands out leases of rows, dearest first; a worker is a process
that turns them into lines, one by one; whoever holds it writes the lines as parts, each whole or not at all; the log of
commits says what is done; merging gives one line for each row of the manifest, in its order. Engines differ in where
workers run: beside the driver, or as actors of a Ray cluster. Shards are drivers that share a folder.
"""
