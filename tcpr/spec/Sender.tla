------------------------------- MODULE Sender -------------------------------
(***************************************************************************)
(* The sending forwarder: from the application to the network. `e.out`,    *)
(* `e.psh` and `e.urg` are what the application has given it; `e.una` and  *)
(* `e.wnd` what the remote receiver has fed back.                          *)
(*                                                                         *)
(* Assumes that feedback is the remote receiver's.                         *)
(* Guarantees that it sends only what the application has written, each    *)
(* symbol at its own number, and nothing beyond the window but a probe.    *)
(***************************************************************************)
EXTENDS SegmentMux

\* One symbol is always allowed, or a closed window could not be seen to
\* open again (RFC 9293, 3.8.6.1).
Limit(e) == IF e.wnd.edge > e.una THEN e.wnd.edge ELSE e.una + 1

\* Whether `k` symbols from `n` may be sent. Not `n >= e.una`: what was
\* acknowledged meanwhile may be on its way again, and is of no harm.
MayCarry(e, n, k) ==
    /\ n + k <= Len(e.out)
    /\ n + k <= Limit(e)
    /\ e.una = 0 => n = 0 /\ k > 0

\* What an eager sender sends: all it has not heard acknowledged, or, if it
\* is heard already, nothing but feedback.
Eager(e) ==
    LET room == Smaller(Len(e.out), Limit(e))
    IN {k \in {0, room - e.una} : room >= e.una /\ MayCarry(e, e.una, k)}

\* Any part of it.
Patient(e) == {k \in 0..Len(e.out) : MayCarry(e, e.una, k)}

\* Feedback that arrived. A window that was sent earlier counts no more.
Acked(e, s) == IF s.acks /\ s.ack > e.una THEN s.ack ELSE e.una
Windowed(e, s) == IF s.acks THEN Latest(e.wnd, Window(s)) ELSE e.wnd
=============================================================================
