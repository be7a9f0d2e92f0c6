----------------------------- MODULE Connection -----------------------------
(***************************************************************************)
(* Two endpoints that do not fail, and a network each way. This is what a  *)
(* recovering connection is held against.                                  *)
(*                                                                         *)
(* Assumes the network of `Network`.                                       *)
(* Guarantees `Delivered`, `Acknowledged`, `Offered` and `OnlyMeant`.      *)
(***************************************************************************)
EXTENDS Endpoint, Network

CONSTANTS
    OctetsA, OctetsB,   \* how many octets each application writes
    ClosesA, ClosesB,   \* whether it closes its stream then
    Active,             \* which endpoints open by themselves
    Ready,              \* which applications have written all from the start
    Free,               \* which endpoints do all that they may, not what is eager
    Aborting,           \* which applications may abort
    Forth, Back,        \* how many segments are in flight from a to b, and back
    Judged              \* whether steps are given, to be judged, or to be found

VARIABLES
    a, b,       \* the endpoints
    ab, ba      \* what is in flight from a to b, and from b to a

vars == <<a, b, ab, ba>>

StreamA == Stream(10, OctetsA, ClosesA)
StreamB == Stream(20, OctetsB, ClosesB)

Opening(who, stream) ==
    IF who \in Ready
    THEN [Closed(stream) EXCEPT
            !.psh = {p \in Pushes : p <= Len(stream)},
            !.urg = IF Urgents = {} THEN 0 ELSE CHOOSE u \in Urgents : TRUE]
    ELSE Closed(<<>>)

Init ==
    /\ a = Opening("a", StreamA)
    /\ b = Opening("b", StreamB)
    /\ ab = {} /\ ba = {}

----------------------------------------------------------------------------
(* Steps of an endpoint. Each is written as a relation between what it is  *)
(* and what becomes of it; a free one searches for all that satisfy it, an *)
(* eager one makes one of them.                                            *)

\* What stays as it is comes first: a step that is judged is then soon seen
\* not to be this one. Written as equations, for `a` may be a mapping.
WriteA == b' = b /\ ab' = ab /\ ba' = ba /\ a' \in Writes(a, StreamA)
WriteB == ab' = ab /\ ba' = ba /\ b' \in Writes(b, StreamB) /\ a' = a

\* What the receiver of `e` may decide, if it is free.
Decisions(e) ==
    {f \in {[e EXCEPT !.ack = k, !.edge = w, !.got = Prefix(e.in, g)] :
            k \in e.ack..Len(e.in), w \in e.edge..(Len(e.in) + Room),
            g \in Len(e.got)..Len(e.in)} : MayDecide(e, f)}

Spans(e) == {t \in (0..Len(e.out)) \X (0..Len(e.out)) : MayCarry(e, t[1], t[2])}

SendA ==
    /\ b' = b /\ ba' = ba
    /\ IF Judged
       THEN /\ MayDecide(a, a')
            /\ \E s \in ab' : MaySend(a, a', s, "a" \in Active) /\ ab' \in After(ab, s, Forth)
       ELSE IF "a" \in Free
       THEN /\ Opens(a, "a" \in Active)
            /\ \E f \in Decisions(a), t \in Spans(a) :
                a' = f /\ ab' \in After(ab, Outgoing(f, t[1], t[2]), Forth)
       ELSE \E s \in Sendable(a, "a" \in Active) : a' = a /\ ab' \in After(ab, s, Forth)

SendB ==
    /\ ab' = ab /\ b' = b
    /\ \E s \in Sendable(b, "b" \in Active) : ba' \in After(ba, s, Back)
    /\ a' = a

\* A receiver may also decide while it has nothing to send.
DecideA ==
    /\ "a" \in Free
    /\ b' = b /\ ab' = ab /\ ba' = ba
    /\ a.end = Whole
    /\ IF Judged
       THEN MayDecide(a, a') /\ a' = [a EXCEPT !.ack = a'.ack, !.edge = a'.edge,
                                               !.got = a'.got]
       ELSE a' \in Decisions(a)

ReceiveA ==
    /\ b' = b /\ ab' = ab /\ ba' = ba
    /\ \E s \in ba :
        IF Judged THEN MayReceive(a, a', s)
        ELSE IF "a" \in Free /\ ~s.rst /\ a.end = Whole
        THEN a' \in {Heard(a, s, in) : in \in Takes(a, s)}
        ELSE a' = Received(a, s)

ReceiveB ==
    /\ ab' = ab /\ ba' = ba
    /\ \E s \in ab : b' = Received(b, s)
    /\ a' = a

AbortA ==
    /\ "a" \in Aborting
    /\ b' = b /\ ba' = ba
    /\ a.end = Whole /\ a.una > 0
    /\ a' = [a EXCEPT !.end = Aborted]
    /\ IF Judged
       THEN \E s \in ab' : s.seq <= a.una /\ s = Resetting(s.seq)
                           /\ ab' \in After(ab, s, Forth)
       ELSE ab' \in After(ab, Abortion(a), Forth)

AbortB ==
    /\ "b" \in Aborting
    /\ ab' = ab
    /\ b.end = Whole /\ b.una > 0
    /\ b' = [b EXCEPT !.end = Aborted]
    /\ ba' \in After(ba, Abortion(b), Back)
    /\ a' = a

AbortAgainA ==
    /\ "a" \in Aborting
    /\ b' = b /\ ba' = ba
    /\ a.end = Aborted
    /\ \E s \in Again(ba) : ab' \in After(ab, s, Forth)
    /\ a' = a

AbortAgainB ==
    /\ "b" \in Aborting
    /\ ab' = ab /\ b' = b
    /\ b.end = Aborted
    /\ \E s \in Again(ab) : ba' \in After(ba, s, Back)
    /\ a' = a

Next ==
    \/ WriteA \/ SendA \/ DecideA \/ ReceiveA \/ AbortA \/ AbortAgainA
    \/ WriteB \/ SendB \/ ReceiveB \/ AbortB \/ AbortAgainB

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
(* What it guarantees.                                                     *)

\* What is delivered to an application is a prefix of what the other wrote.
Delivered ==
    /\ IsPrefix(a.got, a.in) /\ IsPrefix(a.in, b.out)
    /\ IsPrefix(b.got, b.in) /\ IsPrefix(b.in, a.out)

\* Nothing is acknowledged that is not there, nor known to be acknowledged
\* that was not.
Acknowledged ==
    /\ a.una <= b.ack /\ b.ack <= Len(b.in)
    /\ b.una <= a.ack /\ a.ack <= Len(a.in)

\* Nobody believes in a window that was not offered.
Offered == a.wnd.edge <= b.edge /\ b.wnd.edge <= a.edge

\* Notifications come from the application.
Notified ==
    /\ b.inurg <= a.urg /\ a.inurg <= b.urg
    /\ \A p \in b.inpsh : \E q \in a.psh : q <= p
    /\ \A p \in a.inpsh : \E q \in b.psh : q <= p

\* SYN, FIN and RST are on the wire only where they are meant.
OnlyMeant ==
    /\ \A s \in ab : Has(s, Syn) => s.seq = 0
    /\ \A s \in ab : s.rst => a.end = Aborted
    /\ \A s \in ab : Has(s, Fin) => Len(a.out) = Len(StreamA) /\ End(s) = Len(a.out)
    /\ \A s \in ba : s.rst => b.end = Aborted

Separable == \A s \in ab \cup ba : Reversible(s)

\* Not invariants: what has to be seen to be reached.
NotDelivered == ~(b.got = StreamA /\ a.got = StreamB)
NotFinished == NotDelivered \/ a.una < Len(StreamA) \/ b.una < Len(StreamB)
NotReset == a.end # Reset /\ b.end # Reset
=============================================================================
