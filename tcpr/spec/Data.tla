-------------------------------- MODULE Data --------------------------------
(***************************************************************************)
(* The symbols of the data channel: what an application has written so far *)
(* is a prefix of its whole stream, which begins with SYN and may end with *)
(* FIN. Each octet differs from every other, so that one that is delivered *)
(* twice, lost or in the wrong place is seen. Positions count from 0, the  *)
(* number of the SYN.                                                      *)
(*                                                                         *)
(* Assumes nothing. Guarantees that prefixes of one stream are ordered.    *)
(***************************************************************************)
EXTENDS Naturals, Sequences

Syn == 1
Fin == 2

\* The whole stream of `octets` octets, the first of which is `first`.
Stream(first, octets, closes) ==
    <<Syn>> \o [i \in 1..octets |-> first + i - 1]
            \o (IF closes THEN <<Fin>> ELSE <<>>)

Smaller(x, y) == IF x < y THEN x ELSE y
Larger(x, y) == IF x < y THEN y ELSE x

\* `k` symbols from position `n`.
Piece(d, n, k) == SubSeq(d, n + 1, n + k)
Prefix(d, n) == SubSeq(d, 1, n)
Suffix(d, n) == SubSeq(d, n + 1, Len(d))

IsPrefix(d, e) == Len(d) <= Len(e) /\ d = Prefix(e, Len(d))

\* What is contiguous of `d` and a piece `p` from position `n`.
Merge(d, n, p) ==
    IF n <= Len(d) /\ n + Len(p) > Len(d)
    THEN d \o Suffix(p, Len(d) - n)
    ELSE d

Longer(d, e) == IF Len(d) < Len(e) THEN e ELSE d
=============================================================================
