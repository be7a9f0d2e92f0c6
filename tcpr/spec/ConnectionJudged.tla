-------------------------- MODULE ConnectionJudged --------------------------
(***************************************************************************)
(* The specification writes what an endpoint may do twice: once to find    *)
(* steps, once to judge a step that is given. What is found is allowed.    *)
(***************************************************************************)
EXTENDS Connection

Same == INSTANCE Connection WITH Free <- {"a"}, Judged <- TRUE

Refines == Same!Spec
=============================================================================
