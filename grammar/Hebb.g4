// The whole syntax of Hebb. What a construct means is in docs/language.md.
//
// The compiler calls `item` once per top-level declaration, so that a mistake in one leaves the others
// alone, and words its own messages (compiler/parse); nothing here is written for ANTLR's messages.
// Expressions are layered by precedence: left recursion made every file ambiguous to ANTLR.
grammar Hebb;

file       : items+=item* EOF ;
item       : importDecl | constDecl | funDecl | ruleDecl | neuronDecl | networkDecl
           | experimentDecl | testDecl ;
importDecl : 'import' (module=qname | text=STRING) ('as' alias=ID)? ';' ;
constDecl  : 'const' name=ID '=' value=expr ';' ;
funDecl    : 'fun' name=ID '(' (params+=ID (',' params+=ID)*)? ')' '=' body=expr
             ('where' bindings+=binding (',' bindings+=binding)*)? ';' ;
binding    : name=ID '=' value=expr ;

// --- rules and neurons ---------------------------------------------------------------------------
ruleDecl    : 'rule' name=ID (ruleBody | '=' ruleSum ';') ;
ruleBody    : (':' contract=ID)? '{' items+=ruleItem* '}' ;
ruleSum     : terms+=instance ('+' terms+=instance)* ;
ruleItem    : constDecl | paramDecl | weightDecl | stateDecl | signalDecl | eventDecl | letDecl
            | reduceDecl | statDecl | ode | onBlock ;
neuronDecl  : 'neuron' name=ID '{' items+=neuronItem* '}' ;
neuronItem  : constDecl | paramDecl | stateDecl | portDecl | signalDecl | eventDecl | letDecl
            | statDecl | ode | emitDecl | refractory | onBlock ;

paramDecl   : 'param' decls+=decl (',' decls+=decl)* ';' ;
stateDecl   : 'state' decls+=decl (',' decls+=decl)* ';' ;
weightDecl  : 'weight' decl ';' ;
decl        : name=ID shape? (':' unit)? ('in' interval)? (op=('=' | '~') value=expr)? ;
shape       : '[' sizes+=expr (',' sizes+=expr)* ']' ;
interval    : open=('[' | '(') low=sum ',' high=sum close=(']' | ')') ;
signalDecl  : 'signal' name=ID shape? (':' unit)? (op=('=' | '~') value=expr)? ';' ;
eventDecl   : 'event' name=ID ';' ;
portDecl    : kind=('receive' | 'input') name=ID (':' unit)? ';' ;
letDecl     : 'let' name=ID op=('=' | '~') value=expr ';' ;
reduceDecl  : 'reduce' name=ID '=' function=ID '(' argument=expr ')'
              'per' where_=('pre' | 'post' | 'projection') ';' ;
statDecl    : 'stat' name=ID '=' function=ID '(' arguments+=expr (',' arguments+=expr)* ')'
              'over' window=sum ';' ;
ode         : name=ID '\'' '=' rate=expr ';' ;

onBlock     : 'on' event '{' items+=handlerItem* '}' ;
event       : 'every' period=sum              # EveryEvent
            | names+=path ('or' names+=path)* # NamedEvent
            ;
handlerItem : letDecl | prune | grow | jump ;
prune       : 'prune' 'when' condition=expr ';' ;
grow        : 'grow' 'when' condition=expr ';' ;
jump        : target=path ('[' indices+=index (',' indices+=index)* ']')?
              op=('+=' | '-=' | ':=') value=expr ';' ;
emitDecl    : 'emit' name=ID 'when' condition=expr ('{' items+=handlerItem* '}' | ';') ;
refractory  : 'refractory' duration=sum 'holds' held+=ID (',' held+=ID)* ';' ;

// --- networks ------------------------------------------------------------------------------------
networkDecl : 'network' name=ID '{' items+=networkItem* '}' ;
networkItem : constDecl | signalDecl | eventDecl | popDecl | projectDecl | recordDecl | abortDecl
            | freezeDecl ;
popDecl     : 'pop' name=ID shape ':' instance ';' ;
instance    : type=qname ('(' (settings+=setting (',' settings+=setting)*)? ')')? ;
setting     : settingPath op=('=' | '~') value=expr ;
projectDecl : 'project' pre=ID '->' post=ID 'as' name=ID ('via' via=ruleSum)?
              '{' items+=projectItem* '}' ;
projectItem : 'connect' how=expr ';'                       # Connect
            | 'init' name=ID op=('=' | '~') value=expr ';'  # Init
            | 'delay' name=ID op=('=' | '~') value=expr ';' # Delay
            | 'drive' port=ID '+=' value=expr ';'           # Drive
            | 'bind' target=path '=' value=expr ';'         # Bind
            ;
recordDecl  : 'record' what=postfix ('every' period=sum | 'on' trigger=postfix)? ('as' alias=ID)? ';' ;
abortDecl   : 'abort' 'when' condition=expr ';' ;
freezeDecl  : 'freeze' what=path ';' ;

// --- experiments ---------------------------------------------------------------------------------
experimentDecl : 'experiment' name=ID '{' actions+=action* '}' ;
testDecl       : 'test' title=STRING '{' actions+=action* '}' ;
action : letDecl                                                                      # LetAction
       | 'print' values+=expr (',' values+=expr)* ';'                                 # Print
       | 'plot' values+=disj (',' values+=disj)* with? ('to' to=STRING)? ';'          # Plot
       | 'save' values+=disj (',' values+=disj)* 'to' to=STRING ';'                   # Save
       | 'assert' condition=expr ';'                                                  # Assert
       | 'fit' paths+=path (',' paths+=path)* 'minimize' loss=disj with? ';'          # Fit
       | 'search' paths+=path (',' paths+=path)* 'minimize' objective=disj with? ';'  # Search
       | 'measure' name=ID '=' value=expr ';'                                         # Measure
       | 'accept' name=ID 'when' condition=expr ';'                                   # Accept
       | 'for' loops+=loop (',' loops+=loop)* '{' actions+=action* '}'                # For
       ;
loop   : name=ID 'in' first=sum ('..' last=sum)? ;
with   : 'with' '(' (settings+=setting (',' settings+=setting)*)? ')' ;

// --- expressions, lowest precedence first --------------------------------------------------------
expr     : 'if' condition=expr 'then' yes=expr 'else' no=expr # IfExpr
         | 'run' network=qname 'for' duration=sum with?       # RunExpr
         | disj                                               # PlainExpr
         ;
disj     : conj ('or' conj)* ;
conj     : neg ('and' neg)* ;
neg      : 'not' neg | cmp ;
cmp      : left=sum (op=('<' | '<=' | '>' | '>=' | '==' | '!=') right=sum | 'in' interval)? ;
sum      : product (('+' | '-') product)* ;
product  : sign (('*' | '/' | '@') sign)* ;
sign     : op=('-' | '+') sign | power ;
power    : base=postfix ('^' raised=sign)? ;
postfix  : quantity                                      # QuantityExpr
         | STRING                                        # TextExpr
         | value=('true' | 'false')                      # BooleanExpr
         | 'inf'                                         # InfinityExpr
         | '[' elements+=expr (',' elements+=expr)* ']'  # VectorExpr
         | primary suffixes+=suffix*                     # PathExpr
         ;
primary  : name=(ID | 'pre' | 'post') # NamePrimary
         | '(' inner=expr ')'         # ParenPrimary
         ;
suffix   : '.' member                            # MemberSuffix
         | '(' (args+=arg (',' args+=arg)*)? ')' # CallSuffix
         | '[' index (',' index)* ']'            # IndexSuffix
         ;
quantity : number=(INT | FLOAT) (name=ID | '[' unit ']')? ;
arg      : (name=path '=' | word=('for' | 'every' | 'to') '=')? value=expr ('for' ranges+=range (',' ranges+=range)*)? ;
range    : name=ID 'in' first=sum '..' last=sum ;
index    : first=sum ('..' last=sum)? | all=':' ;
path     : first=(ID | 'pre' | 'post') ('.' rest+=member)* ;
qname    : first=ID ('.' rest+=member)* ;
settingPath : parts+=member ('.' parts+=member)* ;
// After a point, and as the name of a setting, these words are names like any other.
member   : ID | 'pre' | 'post' | 'init' | 'delay' | 'weight' | 'state' | 'freeze' | 'signal'
         | 'event' | 'input' | 'record' | 'measure' | 'stat' | 'network' | 'rule' | 'neuron'
         | 'experiment' | 'test' | 'search' | 'save' | 'plot' ;

unit     : first=unitTerm rest+=unitRest* ;
unitRest : op=('*' | '/') unitTerm ;
unitTerm : (name=ID | number=INT | '(' unit ')') ('^' exponent)? ;
exponent : minus='-'? numerator=INT
         | '(' minus='-'? numerator=INT ('/' denominator=INT)? ')' ;

// --- tokens --------------------------------------------------------------------------------------
// '1.' and '.5' are no numbers, so that '0..2' is three tokens.
FLOAT    : DIGITS '.' DIGITS EXP? | DIGITS EXP ;
INT      : DIGITS ;
fragment DIGITS : [0-9] ('_'? [0-9])* ;
fragment EXP    : [eE] [+-]? [0-9]+ ;
// Greek letters, and the micro sign that keyboards have.
ID       : [a-zA-Z_\u{00B5}\u{0370}-\u{03FF}] [a-zA-Z0-9_\u{00B5}\u{0370}-\u{03FF}]* ;
STRING   : '"' (~["\\\r\n] | '\\' ~[\r\n])* '"' ;
UNCLOSED : '"' (~["\\\r\n] | '\\' ~[\r\n])* ;
DOC      : '##' ~[\r\n]* -> channel(HIDDEN) ;
COMMENT  : '#' ~[\r\n]* -> channel(HIDDEN) ;
WS       : [ \t\r\n]+ -> skip ;
UNKNOWN  : . ;
