----------------------- MODULE RecApplicationReceiver -----------------------
(***************************************************************************)
(* The receiving half of a recoverable application: it persists what it    *)
(* reads together with its offset, in one step, and goes on there. `in` is *)
(* what is persisted; the current local TCP began at position `from` of it.*)
(*                                                                         *)
(* Assumes that the local TCP gives it the stream in order from there.     *)
(* Guarantees that it never takes back what it has persisted.              *)
(***************************************************************************)
EXTENDS SegmentMux

\* Position in the local TCP's input of what comes next.
Taken(app) == Len(app.in) - app.from + 1

\* What it may have persisted after reading: the first is that there is a
\* connection at all.
Reads(app, in) ==
    {app.in \o Piece(in, Taken(app), k) : k \in 1..(Len(in) - Taken(app))}

\* All that any local TCP has had.
Had(app, in) == IF in = <<>> THEN <<>> ELSE Prefix(app.in, app.from) \o Suffix(in, 1)
=============================================================================
