------------------------------ MODULE Receiver ------------------------------
(***************************************************************************)
(* The receiving forwarder: from the network to the application. `e.in`,   *)
(* `e.inpsh` and `e.inurg` are what it has taken; `e.ack` and `e.edge`     *)
(* what it tells the remote sender; `e.got` is what the application has.   *)
(*                                                                         *)
(* Assumes that data is the remote sender's.                               *)
(* Guarantees that the application gets it in order, that nothing is       *)
(* acknowledged that is not there to be given, and that the right edge of  *)
(* the window never moves left, nor further right than there is room.      *)
(***************************************************************************)
EXTENDS SegmentMux

CONSTANT Room       \* for how much the application has not taken

\* What could be taken of a segment. It need not be: one that fails and
\* recovers has to let pass what does not join on to what is left to it.
Takes(e, s) == {Prefix(Merge(e.in, s.seq, s.dat), i) :
                i \in Len(e.in)..Len(Merge(e.in, s.seq, s.dat))}

\* As much as there is room for.
Most(e, s) ==
    LET all == Merge(e.in, s.seq, s.dat)
    IN Longer(e.in, Prefix(all, Smaller(Len(all), Larger(e.edge, 1))))

\* A push counts once its data is there, an urgent prefix at once.
Pushed(e, s, in) == {p \in Push(s) : p <= Len(in)} \cup e.inpsh
Urged(e, s) == Larger(e.inurg, Urgent(s))
=============================================================================
