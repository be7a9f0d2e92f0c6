------------------------------ MODULE Segment -------------------------------
(***************************************************************************)
(* A segment on the wire. It carries all five subchannels: data from a     *)
(* sequence number on; a push, which covers the data to its end; the       *)
(* urgent prefix, counted from the sequence number, 0 for none; and, if    *)
(* `acks` is set, an acknowledgment and a window counted from it.          *)
(***************************************************************************)
EXTENDS Data

Plain(n, d) ==
    [seq |-> n, dat |-> d, acks |-> FALSE, ack |-> 0, wnd |-> 0,
     psh |-> FALSE, urg |-> 0, rst |-> FALSE]

End(s) == s.seq + Len(s.dat)
Has(s, x) == \E i \in 1..Len(s.dat) : s.dat[i] = x
=============================================================================
