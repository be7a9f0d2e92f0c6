----------------------------- MODULE SegmentMux -----------------------------
(***************************************************************************)
(* Packs the five subchannels into a segment and gets them out again.      *)
(* Subchannels are absolute, the fields of a segment relative.             *)
(*                                                                         *)
(* Assumes that a window's edge does not lie before the acknowledgment.    *)
(* Guarantees that what is got out is what was put in (`Reversible`).      *)
(***************************************************************************)
EXTENDS Segment, WindowUpdate

\* Pushes within what the segment carries become one at its end. An
\* acknowledgment of 0 is none: the first that can be given is of the SYN.
Mux(n, d, psh, urg, ack, edge) ==
    [Plain(n, d) EXCEPT
        !.psh = \E p \in psh : n < p /\ p <= n + Len(d),
        !.urg = IF urg > n THEN urg - n ELSE 0,
        !.acks = ack > 0,
        !.ack = ack,
        !.wnd = IF ack > 0 THEN edge - ack ELSE 0]

Push(s) == IF s.psh THEN {End(s)} ELSE {}
Urgent(s) == IF s.urg > 0 THEN s.seq + s.urg ELSE 0
Window(s) == [edge |-> s.ack + s.wnd, seq |-> s.seq, ack |-> s.ack]

\* Of a segment that has gone through: the subchannels say the same again.
Reversible(s) ==
    LET psh == Push(s)
        edge == IF s.acks THEN Window(s).edge ELSE 0
    IN s.rst \/ s = Mux(s.seq, s.dat, psh, Urgent(s), s.ack, edge)
=============================================================================
