------------------------------ MODULE Endpoint ------------------------------
(***************************************************************************)
(* A TCP with its application: a sender, a receiver, and nothing between   *)
(* them but the segments that they share. It does not fail.                *)
(*                                                                         *)
(* Assumes that the network delivers only what the other endpoint sent.    *)
(* Guarantees what its two forwarders do, and that it sends no RST unless  *)
(* its application aborts.                                                 *)
(***************************************************************************)
EXTENDS Sender, Receiver

CONSTANTS
    Pushes,     \* positions at which an application may push
    Urgents,    \* and which it may mark as the end of what is urgent
    Pieces      \* whether an eager sender cuts what it sends

\* A connection that is neither reset by us nor by the other.
Whole == "whole"
Aborted == "aborted"
Reset == "reset"

Closed(out) ==
    [out |-> out, psh |-> {}, urg |-> 0, una |-> 0, wnd |-> NoWindow,
     in |-> <<>>, inpsh |-> {}, inurg |-> 0, got |-> <<>>,
     ack |-> 0, edge |-> 0, end |-> Whole]

\* The application writes, and pushes or marks as urgent what it likes.
Writes(e, stream) ==
    IF Len(e.out) = Len(stream) \/ e.end # Whole THEN {}
    ELSE LET n == Len(e.out) + 1
         IN {[e EXCEPT !.out = Prefix(stream, n), !.psh = p, !.urg = u] :
                p \in IF n \in Pushes THEN {e.psh, e.psh \cup {n}} ELSE {e.psh},
                u \in IF n \in Urgents THEN {e.urg, n} ELSE {e.urg}}

\* What it would send of `k` symbols from `n`. What is urgent is told with
\* data, not with feedback alone.
Outgoing(e, n, k) ==
    Mux(n, Piece(e.out, n, k), e.psh, IF k > 0 THEN e.urg ELSE 0, e.ack, e.edge)

\* One that waits for the other to open sends nothing before.
Opens(e, active) == e.end = Whole /\ (active \/ Len(e.in) > 0)

\* Whether `e` may become `f` and send `s`.
MaySend(e, f, s, active) ==
    /\ Opens(e, active)
    /\ ~s.rst
    /\ f = [e EXCEPT !.ack = f.ack, !.edge = f.edge, !.got = f.got]
    /\ MayCarry(e, s.seq, Len(s.dat))
    /\ s = Outgoing(f, s.seq, Len(s.dat))

\* Whether the receiver may decide to acknowledge, offer and hand on what it
\* does in `f` once it has taken what `f` has.
MayDecide(e, f) ==
    /\ e.ack <= f.ack /\ f.ack <= Len(f.in)
    /\ e.edge <= f.edge /\ f.edge <= Len(f.in) + Room
    /\ f.ack <= f.edge \/ f.ack = 0
    /\ IsPrefix(e.got, f.got) /\ IsPrefix(f.got, f.in)

\* Of a segment without RST, having taken `in` of it.
Heard(e, s, in) ==
    [e EXCEPT !.una = Acked(e, s), !.wnd = Windowed(e, s),
              !.in = in, !.inpsh = Pushed(e, s, in), !.inurg = Urged(e, s)]

\* A RST counts only at exactly the number that comes next (RFC 5961, 3.2).
Killed(e, s) == IF s.seq = Len(e.in) THEN [e EXCEPT !.end = Reset] ELSE e

\* Whether `e` may become `f` when it receives `s`.
MayReceive(e, f, s) ==
    /\ e.end = Whole
    /\ IF s.rst THEN f = Killed(e, s)
       ELSE /\ f.in \in Takes(e, s)
            /\ f = [Heard(e, s, f.in) EXCEPT
                        !.ack = f.ack, !.edge = f.edge, !.got = f.got]
            /\ MayDecide(e, f)

\* The eager endpoint: it takes what it can, hands it on, acknowledges it,
\* and offers all of its room.
Decided(e) ==
    [e EXCEPT !.ack = Len(e.in), !.got = e.in,
              !.edge = IF Len(e.in) > 0 THEN Len(e.in) + Room ELSE 0]

Received(e, s) ==
    IF e.end # Whole THEN e
    ELSE IF s.rst THEN Killed(e, s)
    ELSE Decided(Heard(e, s, Most(e, s)))

Sendable(e, active) ==
    IF Opens(e, active)
    THEN {Outgoing(e, e.una, k) : k \in IF Pieces THEN Patient(e) ELSE Eager(e)}
    ELSE {}

\* The application gives up. The RST names the number that comes next for
\* the other, as far as is known here; if it is another, the other answers
\* with an acknowledgment (RFC 5961, 3.2), and is reset at that.
Resetting(n) == [Plain(n, <<>>) EXCEPT !.rst = TRUE]
Abortion(e) == Resetting(e.una)
Again(net) == {Resetting(s.ack) : s \in {t \in net : t.acks}}
=============================================================================
