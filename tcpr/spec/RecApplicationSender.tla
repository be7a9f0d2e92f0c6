------------------------ MODULE RecApplicationSender ------------------------
(***************************************************************************)
(* The sending half of a recoverable application: it keeps what it has     *)
(* written, and writes it again to the next local TCP from the base that   *)
(* the middleware names. It closes only once it has announced it.          *)
(*                                                                         *)
(* Assumes that the middleware counts from the base that it names.         *)
(* Guarantees that what it writes again is what it wrote.                  *)
(***************************************************************************)
EXTENDS SegmentMux

\* What the current local TCP is given: a SYN of its own, the octets from
\* the base, and a FIN if that is announced, wherever the base is.
Given(app) ==
    LET closes == Len(app.out) > 0 /\ app.out[Len(app.out)] = Fin
        octets == Prefix(app.out, Len(app.out) - (IF closes THEN 1 ELSE 0))
    IN (IF app.out = <<>> THEN <<>> ELSE <<Syn>>)
       \o Suffix(octets, app.base) \o (IF closes /\ app.said THEN <<Fin>> ELSE <<>>)

\* A push or an urgent prefix that ends at the base is the peer's already.
GivenPushes(app) == {p - app.base + 1 : p \in {q \in app.psh : q > app.base}}
GivenUrgent(app) == IF app.urg > app.base THEN app.urg - app.base + 1 ELSE 0
=============================================================================
